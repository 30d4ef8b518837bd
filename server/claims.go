package server

import (
	"errors"
	"fmt"
	"strings"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// claimsOf returns the custom claims of a token that is about to be minted, as tokens.Record has
// them: the client's, the user's and the hook's, of which a later one wins. Of these the token
// carries the ones that its scopes release.
//
// A token for Grantor itself carries none, and no hook is asked: an operator must get one while the
// hook is broken.
func (s *Server) claimsOf(x *exchange, user *users.User, scope string) (string, error) {
	if strings.HasPrefix(scope, scopes.Reserved) {
		return "", nil
	}
	all := x.client.Claims
	if user != nil {
		all = all.With(user.Claims)
	}
	if s.cfg.ClaimsHook != nil {
		more, err := s.askClaims(x, user, scope)
		if err != nil {
			return "", err
		}
		all = all.With(more)
	}
	if all.IsZero() {
		return "", nil
	}
	return s.released(all, scope)
}

// released returns the claims that the scopes release, after a last look at the whole: each source
// was checked alone, and the sum may be too long.
func (s *Server) released(all claims.Set, scope string) (string, error) {
	granted, err := scopes.ParseGranted(scope)
	if err != nil {
		return "", fmt.Errorf("%w: scope", tokens.ErrRecord)
	}
	all = all.Filter(func(name string) bool { return s.cfg.Catalogue.Releases(granted, name) })
	if err := all.Check(); err != nil {
		return "", fmt.Errorf("%w: %w", claims.ErrAnswer, err)
	}
	return all.String(), nil
}

// askClaims asks the hook. What it gives while it is silent is no claim at all: the request fails.
func (s *Server) askClaims(x *exchange, user *users.User, scope string) (claims.Set, error) {
	q := claims.Question{ClientID: x.client.ID, Subject: x.client.ID, SubjectType: "client", Scope: scope, Grant: x.grant}
	if user != nil {
		q.Subject, q.SubjectType = user.ID, "user"
	}
	return s.askHook(x, q, user != nil)
}

// askHook sends a question to the hook. Whether users' tokens wait for it is noted for refreshes.
func (s *Server) askHook(x *exchange, q claims.Question, user bool) (claims.Set, error) {
	got, err := s.cfg.ClaimsHook.Claims(x, q)
	if user {
		s.hookOutages.noteIf(errors.Is(err, claims.ErrUnavailable), err == nil)
	}
	if err != nil && !errors.Is(err, claims.ErrUnavailable) && !errors.Is(err, claims.ErrAnswer) {
		err = fmt.Errorf("%w: %w", claims.ErrUnavailable, err)
	}
	return got, err
}

// tieClaims takes out of a record what its remaining scopes do not release.
func (s *Server) tieClaims(r *tokens.Record, still scopes.Set) {
	if r.Claims == "" || !s.cfg.Catalogue.TiesClaims() {
		return
	}
	r.Claims = claims.Trusted(r.Claims).Filter(func(name string) bool {
		return s.cfg.Catalogue.Releases(still, name)
	}).String()
}

// user is who logs in with this request; nil: nobody does.
func (x *exchange) user() *users.User {
	if x.session == nil {
		return nil
	}
	return x.session.user
}
