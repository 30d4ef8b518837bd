package server

import (
	"net/http"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/clients"
)

// token issues tokens (RFC 6749 §3.2). The grant type is checked before go-oauth2 is asked: the
// library would check a password first, and calls a disabled grant type unauthorized_client.
func (s *Server) token(x *exchange) error {
	if err := s.grantAllowed(x); err != nil {
		return err
	}
	if err := parametersPresent(x); err != nil {
		return err
	}
	if err := s.proveKey(x); err != nil { // before a password is looked at
		return err
	}
	issue := s.issue
	switch x.grant {
	case clients.GrantTokenExchange:
		issue = s.exchangeToken
	case clients.GrantJWTBearer:
		issue = s.exchangeAssertion
	}
	issued, err := issue(x)
	if err != nil {
		return err
	}
	s.recordIssue(x, issued.scope)
	writeTokens(x, issued)
	return nil
}

// grantAllowed answers, in the order of RFC 6749 §5.2: is there a grant type, is it served
// here, was it given to this client?
func (s *Server) grantAllowed(x *exchange) error {
	asked := x.form.Get("grant_type")
	served := slices.Index(s.grantTypes, asked)
	switch {
	case asked == "":
		return refusal(codeInvalidRequest, "grant_type is required (RFC 6749 §5.2)")
	case served < 0:
		return refusal(codeUnsupportedGrantType,
			"this grant type is not served here; grant_types_supported of the metadata lists those that are")
	}
	x.grant = s.grantTypes[served] // and no part of the request, which metrics would keep in memory
	switch {
	case x.client == nil:
		return &Error{Code: codeInvalidClient, Reason: "no_client"}
	case !x.client.MayUse(x.grant):
		return refusal(codeUnauthorizedClient, "this client may not use this grant type (RFC 6749 §5.2)")
	}
	return nil
}

// parametersPresent names what a grant needs (RFC 6749 §4.3.2, §6; RFC 7523
// §2.1).
func parametersPresent(x *exchange) error {
	missing := ""
	switch x.grant {
	case clients.GrantPassword:
		if x.form.Get("password") == "" {
			missing = "password"
		}
		if x.form.Get("username") == "" {
			missing = "username"
		}
	case clients.GrantRefreshToken:
		if x.form.Get("refresh_token") == "" {
			missing = "refresh_token"
		}
	case clients.GrantJWTBearer:
		if x.form.Get("assertion") == "" {
			missing = "assertion"
		}
	}
	if missing != "" {
		return refusal(codeInvalidRequest, "%s is required for this grant type", missing)
	}
	return nil
}

// writeTokens writes the successful answer of RFC 6749 §5.1 or RFC 8693 §2.2.1. expires_in is
// in seconds, rounded up.
func writeTokens(x *exchange, t issuedTokens) {
	seconds := int64((t.ttl + time.Second - 1) / time.Second)
	answer := newAnswer().Text("access_token", t.access).TextOr("issued_token_type", t.kind).Text("token_type", tokenType(x.shown))
	answer = answer.Number("expires_in", seconds).TextOr("refresh_token", t.refresh).TextOr("scope", t.scope)
	x.write(http.StatusOK, answer.Close())
}
