package server

import (
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/users"
)

// decideScope returns what a token of client_credentials or password may carry, and for how long.
// It leaves the audience in the exchange.
func (s *Server) decideScope(x *exchange, text string) (scope string, ttl time.Duration, err error) {
	asked, err := askedScope(text)
	if err != nil {
		return "", 0, err
	}
	granted, err := s.grantScope(x.client, asked)
	if err != nil {
		return "", 0, err
	}
	if x.session == nil {
		granted, err = ofMachine(granted)
	} else {
		granted, err = s.ofLogin(x, granted)
	}
	if err != nil {
		return "", 0, err
	}
	granted, audience, err := s.narrowToResources(x.client, granted, x.form["resource"])
	if err != nil {
		return "", 0, err
	}
	x.audience, ttl = audience, s.accessTTL(x.client)
	if x.session != nil { // no access token outlives its session
		ttl = min(ttl, s.maxTTL(x.client))
	}
	if x.session != nil {
		x.session.scope = granted.Union(x.session.apart)
		return granted.String(), ttl, fits(x.session.scope, audience)
	}
	return granted.String(), ttl, fits(granted, audience)
}

// grantScope returns what a client gets that asks for a scope: everything asked, with what it
// implies, or an error; the default when it asks for nothing (RFC 6749 §3.3). A typo is
// refused rather than left out, so that it is noticed.
func (s *Server) grantScope(c *clients.Client, asked scopes.Set) (scopes.Set, error) {
	if asked.IsEmpty() {
		if c.DefaultScope.IsEmpty() {
			return scopes.Set{}, refusal(codeInvalidScope,
				"this client has no default scope: name the scopes that you want (RFC 6749 §3.3)")
		}
		asked = c.DefaultScope
	}
	for t := range asked.All() {
		if !s.cfg.Catalogue.Has(t) || !s.cfg.Catalogue.Permits(c.Scope, t) {
			return scopes.Set{}, refusal(codeInvalidScope,
				"%s does not exist or is not allowed to this client; names are case sensitive",
				named("the scope", t, "a scope that was asked for"))
		}
	}
	return s.cfg.Catalogue.Expand(asked), nil
}

// named names one of many values to the client's developer, if it holds only the characters of
// names.
func named(kind, text, otherwise string) string {
	if text == "" || len(text) > 100 || strings.Trim(text, nameCharacters) != "" {
		return otherwise
	}
	return kind + " " + text
}

const nameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:/._-~*"

// standsAlone refuses a token for both Grantor and an API: each could use the token at the other
// (RFC 9700 §2.3).
func standsAlone(granted scopes.Set) (scopes.Set, error) {
	if reserved := granted.Filter(scopes.IsReserved); reserved.IsEmpty() || reserved.Len() == granted.Len() {
		return granted, nil
	}
	return scopes.Set{}, refusal(codeInvalidScope,
		"scopes that begin with %s are asked for alone: their token is for this server only, so ask "+
			"for the others in a request of their own (RFC 9700 §2.3)", scopes.Reserved)
}

// fits refuses what no token can carry, before anything is issued. Every reader keeps the same
// bounds.
func fits(granted scopes.Set, audience []string) error {
	if err := granted.CheckBounds(); err != nil {
		return refusal(codeInvalidScope,
			"with all that they imply, the scopes that were asked for are too many for one token: %s", err)
	}
	if err := clients.CheckAudience(audience); err != nil {
		return refusal(codeInvalidTarget,
			"the scopes that were asked for belong to too many resources; narrow them by resource (RFC "+
				"8707 §2): %s", err)
	}
	return nil
}

// AdminAudience is the aud, below the issuer, of tokens with a grantor: scope. The admin listener
// demands it.
const AdminAudience = "/admin"

// askedScope reads the scope of a request (RFC 6749 §3.3).
func askedScope(text string) (scopes.Set, error) {
	set, err := scopes.Parse(text)
	if err != nil {
		return scopes.Set{}, refusal(codeInvalidScope, "%s (RFC 6749 §3.3)", err)
	}
	return set, nil
}

// resourcesOf returns the audience that one scope gives a client's token: the scope's own, or
// the client's. Scopes of Grantor's own have one that no scope of an API can have.
func (s *Server) resourcesOf(c *clients.Client, scope string) []string {
	switch {
	case scope == scopes.ScopeSessions:
		return []string{s.sessionsAudience()}
	case scope == scopes.ScopeIntrospect:
		return []string{s.introspectAudience()}
	case scopes.IsReserved(scope):
		return []string{s.cfg.Issuer + AdminAudience}
	}
	if known, ok := s.cfg.Catalogue.Get(scope); ok && known.Resource != "" {
		return []string{known.Resource}
	}
	return c.Audience
}

// narrowToResources cuts granted scopes and audience to the resources that were asked for; without
// any, the audience is all that the scopes give (RFC 8707 §2). However a request spells a resource,
// the audience has the spelling of the configuration: most APIs compare byte for byte.
func (s *Server) narrowToResources(
	c *clients.Client, granted scopes.Set, resources []string,
) (scopes.Set, []string, error) {
	if err := checkResources(resources); err != nil {
		return scopes.Set{}, nil, err
	}
	return s.narrowTo(c, granted, resources)
}

// checkResources refuses a resource of a request that is no absolute URI (RFC 8707 §2).
func checkResources(resources []string) error {
	for _, r := range resources {
		if err := scopes.CheckResource(r); r != "" && err != nil {
			return refusal(codeInvalidTarget, "%s (RFC 8707 §2)", err)
		}
	}
	return nil
}

// narrowTo is narrowToResources for audiences that are no URIs, too.
func (s *Server) narrowTo(c *clients.Client, granted scopes.Set, targets []string) (scopes.Set, []string, error) {
	asked := slices.DeleteFunc(slices.Clone(targets), func(r string) bool { return r == "" })
	var audience []string
	kept := granted.Filter(func(scope string) bool {
		serves := len(asked) == 0
		for _, r := range s.resourcesOf(c, scope) {
			if len(asked) > 0 && !scopes.Names(asked, r) {
				continue
			}
			serves = true
			audience = scopes.AddResource(audience, r)
		}
		return serves
	})
	for _, r := range asked {
		if !scopes.Names(audience, r) {
			return scopes.Set{}, nil, refusal(codeInvalidTarget,
				"no scope of this request belongs to %s (RFC 8707 §2)",
				named("the resource", r, "a resource that was asked for"))
		}
	}
	slices.Sort(audience)
	return kept, audience, nil
}

// userScope cuts a scope to what the user may have. Of the reserved scopes, only that over oneself
// is ever in a user's token; no user needs it in their own scope.
func (s *Server) userScope(u *users.User, granted scopes.Set) (scopes.Set, error) {
	may := u.Rules(s.cfg.UserScope)
	kept := granted.Filter(func(t string) bool {
		return t == scopes.ScopeSessions || !scopes.IsReserved(t) && s.cfg.Catalogue.Permits(may, t)
	})
	if kept.IsEmpty() && !granted.IsEmpty() {
		return scopes.Set{}, refusal(codeInvalidScope,
			"this user may have none of the scopes that were asked for")
	}
	return kept, nil
}
