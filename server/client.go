package server

import (
	"errors"

	"github.com/grantor-auth/grantor/clients"
)

// authenticateClient finds out who asks: one place for token, introspection and
// revocation (RFC 6749 §2.3, §3.2.1).
func (s *Server) authenticateClient(x *exchange) error {
	if err := s.proveClient(x); err != nil {
		return err
	}
	err := s.limitRate(x, x.client)
	if err != nil {
		x.claimed, x.client = x.client.ID, nil
	}
	return err
}

// proveClient is authenticateClient for polls of the revocation feed, which
// requests_per_second does not count: verifiers must not use up what their API introspects
// with, and how long polls are held bounds them.
func (s *Server) proveClient(x *exchange) error {
	creds, err := clients.ReadCredentials(x.gin.Request.Header["Authorization"], x.form)
	if err != nil {
		return err
	}
	if clients.CheckID(creds.ID) == nil {
		x.claimed = creds.ID
	}
	proof, err := s.authenticate(x, creds)
	if err == nil {
		err = s.clientMayAsk(x, proof)
	}
	if refused, ok := errors.AsType[*clients.AuthError](err); ok {
		x.credential = refused.Credential
		return s.clientRefused(x, refused)
	}
	if err != nil {
		return err
	}
	proof.Used(s.now())
	x.client, x.credential = proof.Client, proof.Credential
	return nil
}

// clientMayAsk refuses a client that proved itself, where it may not. It is refused like a wrong
// secret, and counted like one: nobody learns from the answer that a stolen secret is right.
func (s *Server) clientMayAsk(x *exchange, proof clients.Proof) error {
	c := proof.Client
	switch {
	case c.Demo && !s.straight(x.gin.Request):
		return &clients.AuthError{ID: c.ID, Credential: proof.Credential, Reason: reasonDemo}
	case !c.AllowsAddress(x.surely()):
		return &clients.AuthError{ID: c.ID, Credential: proof.Credential, Reason: clients.ReasonAddress, Public: c.Public()}
	}
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
