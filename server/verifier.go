package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// actorFor nests actors, the last one first.
func actorFor(list []string) (a *middleware.Actor) {
	for _, id := range slices.Backward(list) {
		a = &middleware.Actor{Subject: id, SubjectType: tokens.SubjectClient, Actor: a}
	}
	return a
}

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
		networks, err := address.ParseNetworks(r.Networks)
		if err != nil {
			return nil, fmt.Errorf("%w: networks: %v", tokens.ErrRecord, err) //nolint:errorlint // likewise
		}
		t := &middleware.Token{Username: r.Username, ClientID: r.ClientID, Scope: set, Audience: r.Audience,
			Issuer: s.cfg.Issuer, ID: found.token.Name(), AllowedNetworks: networks, ExpiresAt: r.ExpiresAt(), IssuedAt: r.IssuedAt, NotBefore: r.IssuedAt}
		t.Confirmation = middleware.Confirmation(r.Confirmation)
		t.Claims = claims.Trusted(r.Claims).Map()
		t.Subject, t.SubjectType = r.Sub()
		t.Actor = actorFor(actorsOf(r))
		if t, err = middleware.FromHolder(ctx, t); err != nil {
			return nil, err
		}
		if t, err = middleware.FromAllowedNetwork(ctx, t); err == nil {
			t, err = middleware.FromHolder(ctx, t)
		}
		if err == nil {
			s.noteUse(found)
		}
		return t, err
	})
}
