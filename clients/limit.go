package clients

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/grantor-auth/grantor/scopes"
)

// Given is the most that a dynamically registered client may make of itself with its registration
// access token (RFC 7592 §2.2): what it was registered with, and after that what an operator left
// of it. Members that are not here cannot be changed by that token at all.
type Given struct {
	Scope      string   `json:"scope,omitempty"` // rules
	GrantTypes []string `json:"grant_types,omitempty"`
	AuthMethod Method   `json:"token_endpoint_auth_method,omitempty"` // "": any method that registration gives
}

// given returns the limit of a registration. One that an older version wrote has none: what it is
// now is the limit.
func (s *Stored) given() *Given {
	if s.Given != nil {
		g := *s.Given
		return &g
	}
	return &Given{Scope: s.Scope, GrantTypes: slices.Clone(s.Grants)}
}

// changed returns the limit after an operator's change: each member that the change named, or made
// another.
func (g *Given) changed(before *Registration, s *Stored) *Given {
	named := func(name string) bool { return slices.Contains(s.Stated, name) }
	if named("scope") || before.Scope != s.Scope {
		g.Scope = s.Scope
	}
	if named("grant_types") || !slices.Equal(before.Grants, s.Grants) {
		g.GrantTypes = slices.Clone(s.Grants)
	}
	if named("token_endpoint_auth_method") || before.Method != s.Method {
		g.AuthMethod = s.Method
	}
	return g
}

// ReplaceOwn edits a client by its registration access token, whose hash must be the client's
// still: ErrUnknown where it is not. What edit leaves must be sound, and within what the client was
// given; a scope that it gave up comes back only while its registrar may have it.
func (m *Manager) ReplaceOwn(ctx context.Context, id string, token SecretHash, edit func(*Registration)) (*Described, error) {
	return m.update(ctx, id, func(s *Stored) error {
		if s.Token != token || s.Disabled {
			return ErrUnknown
		}
		before := s.Registration
		s.Given = s.given()
		edit(&s.Registration)
		registrar, err := m.mayGive(ctx, s.Registrar)
		if err != nil {
			return err
		}
		return m.within(s, &before, registrar)
	})
}

// mayGive returns the scope of the client that registered another: nothing when it is gone,
// disabled, or no registrar any more.
func (m *Manager) mayGive(ctx context.Context, id string) (none scopes.Rules, err error) {
	if id == "" {
		return none, nil
	}
	c := m.configured(id)
	if c == nil {
		if c, err = m.Redis.client(ctx, id); errors.Is(err, ErrUnknown) {
			return none, nil
		}
	}
	if err != nil || c.Disabled || !c.Scope.Allows(scopes.ScopeClients) {
		return none, err
	}
	return c.Scope, nil
}

// within holds what a client wants to be against its limit.
func (m *Manager) within(s *Stored, before *Registration, registrar scopes.Rules) error {
	bad := func(field, format string, args ...any) error {
		return &FieldError{Field: field, Err: fmt.Errorf(format, args...)}
	}
	limit, err1 := scopes.ParseRules(s.Given.Scope)
	now, err2 := scopes.ParseRules(before.Scope)
	wanted, err3 := scopes.Parse(s.Scope)
	if err := errors.Join(err1, err2, err3); err != nil {
		return bad("scope", "%w", err)
	}
	for t := range m.Catalogue.Expand(wanted).All() {
		if !m.Catalogue.Permits(limit, t) || !m.Catalogue.Permits(now, t) && !m.Catalogue.Permits(registrar, t) {
			return bad("scope", "%q is beyond what this client was given", t)
		}
	}
	for _, g := range s.Grants {
		if !slices.Contains(s.Given.GrantTypes, g) {
			return bad("grant_types", "%q is beyond what this client was given", g)
		}
	}
	if s.Given.AuthMethod != MethodSecret && s.Method != s.Given.AuthMethod {
		return bad("token_endpoint_auth_method", "an operator set it to %q", s.Given.AuthMethod)
	}
	return nil
}
