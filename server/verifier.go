package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// Verifier returns the in-process verifier for routes beside the server in one program. It sees
// every access token, as introspect = "any" does.
func (s *Server) Verifier() middleware.Verifier {
	return middleware.VerifierFunc(func(ctx context.Context, text string) (*middleware.Token, error) {
		p, err := s.identify(ctx, text)
		found, err := s.lookUp(ctx, p, err)
		if errors.Is(err, errInactive) {
			return nil, middleware.ErrInvalidToken
		}
		if err != nil {
			return nil, err
		}
		r := found.record
		set, err := scopes.ParseGranted(r.Scope)
		if err != nil {
			return nil, fmt.Errorf("%w: scope: %v", tokens.ErrRecord, err) //nolint:errorlint // not the request's
		}
		t := &middleware.Token{Subject: r.ClientID, SubjectType: "client", ClientID: r.ClientID, Scope: set, Audience: r.Audience,
			Issuer: s.cfg.Issuer, ID: found.token.Name(), ExpiresAt: r.ExpiresAt(), IssuedAt: r.IssuedAt, NotBefore: r.IssuedAt}
		if r.Subject != "" {
			t.Subject, t.SubjectType, t.Username = r.Subject, "user", r.Username
		}
		return t, nil
	})
}
