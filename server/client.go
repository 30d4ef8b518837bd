package server

import (
	"errors"
	"net/http"

	"github.com/grantor-auth/grantor/clients"
)

// authenticateClient finds out who asks: one place for token, introspection and
// revocation (RFC 6749 §2.3, §3.2.1).
func (s *Server) authenticateClient(x *exchange) error {
	creds, err := clients.ReadCredentials(x.gin.Request.Header.Values("Authorization"), x.form)
	if err != nil {
		return err
	}
	if clients.CheckID(creds.ID) == nil {
		x.claimed = creds.ID
	}
	client, err := s.authenticate(x, creds)
	if err == nil && client.Demo && !s.straight(x.gin.Request) {
		err = &clients.AuthError{ID: creds.ID, Reason: reasonDemo}
	}
	if refused, ok := errors.AsType[*clients.AuthError](err); ok {
		return s.clientRefused(x, refused)
	}
	if err != nil {
		return err
	}
	if wait := s.rates.take(client, x); wait > 0 {
		return &Error{Code: codeUnavailable, Status: http.StatusTooManyRequests, RetryAfter: wait,
			Reason:      "requests_per_second",
			Description: "this client asks more often than it may; wait as long as Retry-After says"}
	}
	x.client = client
	return nil
}

// confidentialOnly refuses clients without credentials (RFC 7662 §2.1).
func confidentialOnly(x *exchange) error {
	if x.client == nil || x.client.Public() {
		return &Error{Code: codeInvalidClient, Reason: "public_client",
			Description: "this endpoint is for clients that authenticate with a secret (RFC 7662 §2.1)"}
	}
	return nil
}
