package server

import (
	"fmt"
	"slices"

	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// refreshScope finds out scope and audience of the new access token: within what the session was
// granted (RFC 6749 §6), and of that what client and user may still have.
func (s *Server) refreshScope(x *exchange, r *refreshRequest, u *users.User) error {
	original, err := scopes.ParseGranted(r.session.Scope)
	if err != nil {
		return fmt.Errorf("%w: scope", tokens.ErrRecord)
	}
	asked, err := askedOf(original, r.asked)
	if err == nil {
		asked, err = standsAlone(asked)
	}
	if err != nil {
		return err
	}
	granted := s.cfg.Catalogue.Expand(asked).Intersect(original).Filter(func(t string) bool {
		return s.cfg.Catalogue.Has(t) && s.cfg.Catalogue.Permits(x.client.Scope, t)
	})
	if granted.IsEmpty() && !original.IsEmpty() {
		return refusal(codeInvalidScope, "this client may no longer have any of these scopes")
	}
	if granted, err = s.userScope(u, granted); err != nil {
		return err
	}
	r.scope, r.audience, err = s.narrowToResources(x.client, granted, x.form["resource"])
	if err != nil {
		return err
	}
	if isOwnSessions(r.scope) { // an audience of its own, of every session that was granted it
		return nil
	}
	return r.keepAudience(x.form["resource"])
}

// askedOf returns the scopes that a refresh asks for: a part of the original ones, or all of them.
// What must stand alone is in no token with others: who names no scope gets the others.
func askedOf(original scopes.Set, text string) (scopes.Set, error) {
	asked, err := askedScope(text)
	if err != nil {
		return scopes.Set{}, err
	}
	for t := range asked.All() {
		if !original.Has(t) {
			return scopes.Set{}, refusal(codeInvalidScope,
				"%s was not granted at the login, and a refresh cannot ask for more (RFC 6749 §6)",
				named("the scope", t, "a scope that was asked for"))
		}
	}
	if asked.IsEmpty() {
		together, _ := takeApart(original)
		return together, nil
	}
	return asked, nil
}

// keepAudience keeps the audience to the resources that the session was granted (RFC 8707 §2.2).
func (r *refreshRequest) keepAudience(resources []string) error {
	foreign := func(resource string) bool { return !scopes.Names(r.session.Audience, resource) }
	if slices.ContainsFunc(resources, foreign) {
		return refusal(codeInvalidTarget,
			"a refresh cannot ask for a resource that the login was not granted (RFC 8707 §2.2)")
	}
	r.audience = slices.DeleteFunc(r.audience, foreign)
	return nil
}
