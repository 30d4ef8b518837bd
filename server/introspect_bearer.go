package server

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// The scope grantor:introspect stands for the credentials of its client at the introspection
// endpoint (RFC 7662 §2.1): what the client's introspect says decides what the token sees.

// introspectAudience is the aud of tokens with grantor:introspect: the URL of what takes them.
func (s *Server) introspectAudience() string { return s.cfg.Issuer + pathIntrospect }

// authenticateIntrospector finds out who introspects: a client by its credentials, or by an access
// token with grantor:introspect (RFC 7662 §2.1).
func (s *Server) authenticateIntrospector(x *exchange) error {
	if !presentsToken(x.gin.Request) {
		return s.authenticateClient(x)
	}
	x.wanted = scopes.ScopeIntrospect
	if x.form.Has("client_secret") || x.form.Has("client_assertion") {
		return malformedBearer(x, "the request authenticates twice: by an access token, and by credentials of a client; use one")
	}
	found, err := s.presentedToken(x)
	if err != nil {
		return err
	}
	if err := s.mayIntrospect(x, found); err != nil {
		return err
	}
	x.asking = found
	if err := s.limitRate(x, found.client); err != nil {
		return err
	}
	x.client = found.client
	return nil
}

// presentsToken says whether a request has an access token in its Authorization header, and not
// credentials of a client.
func presentsToken(r *http.Request) bool {
	return slices.ContainsFunc(r.Header["Authorization"], func(value string) bool {
		scheme, _, _ := strings.Cut(value, " ")
		return strings.EqualFold(scheme, schemeBearer) || strings.EqualFold(scheme, schemeDPoP)
	})
}

// mayIntrospect demands a client's token with the scope grantor:introspect and its audience, from
// where the client may authenticate. A client_id beside it must be the token's.
func (s *Server) mayIntrospect(x *exchange, found activeToken) error {
	scope, err := scopes.ParseGranted(found.record.Scope)
	switch id := x.form.Get("client_id"); {
	case err != nil:
		return tokens.ErrRecord
	case found.record.Subject != "" || !scope.Has(scopes.ScopeIntrospect):
		return challenge(x, http.StatusForbidden, codeInsufficientScope, "insufficient_scope",
			"this needs a token of a client with the scope "+scopes.ScopeIntrospect)
	case !slices.Contains(found.record.Audience, s.introspectAudience()):
		return challenge(x, http.StatusUnauthorized, codeInvalidToken, Reason(inactiveAudience),
			"the token is meant for another resource")
	case id != "" && id != found.client.ID:
		return malformedBearer(x, "client_id in the body is not the client of the access token")
	}
	if refused, ok := errors.AsType[*clients.AuthError](s.clientMayAsk(x, clients.Proof{Client: found.client})); ok {
		return tokenNotActive(x, Reason(refused.Reason))
	}
	return nil
}

// aboutItself refuses a token that vouches for itself (RFC 7662 §2.1).
func aboutItself() error {
	return &Error{Code: codeInvalidRequest, Reason: "introspects_itself",
		Description: "the access token that authorizes the request cannot be the token that it asks about"}
}
