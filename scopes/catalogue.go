package scopes

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Scope is what a deployment says of one scope token.
type Scope struct {
	Description string   // for people; shown by the metadata of clients and tools
	Resource    string   // the audience of tokens with this scope, byte for byte: see Catalogue.CheckAudience; "" is none
	Implies     []string // scopes that this one contains, transitively
	JWTTyp      string   // typ of JWTs for the resource: TypAccess, TypJWT; "" leaves it to the resource's other scopes
	Claims      []string // custom claims that only tokens with this scope carry, or with another that names them too
}

// Catalogue holds every scope that exists. It is immutable; the zero value and nil know
// only the reserved scopes.
type Catalogue struct {
	scopes  map[string]Scope
	implied map[string]Set // per token: itself and all that it implies
	tied    map[string]Set // per claim: the scopes that name it
	names   []string       // that an aud may be beside URIs
	plain   []string       // resources whose JWTs have TypJWT
}

// NewCatalogue checks and closes a table of scopes. names are audiences that are no URIs and may
// be resources all the same (RFC 7519 §4.1.3). The error joins all that is wrong: a malformed or
// reserved name, a wildcard, an implied scope that does not exist or is reserved, a resource that
// is neither an absolute URI without a fragment nor one of names. A circle of implications makes
// its scopes equal and is no error.
func NewCatalogue(table map[string]Scope, names ...string) (*Catalogue, error) {
	c := &Catalogue{scopes: maps.Clone(table), implied: make(map[string]Set, len(table)), names: names}
	var errs []error
	first := firstOf{map[string]string{}, map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		c.implied[name] = c.closure(name)
		errs = append(errs, c.check(name, table[name], first))
		c.tie(name)
		if s := table[name]; s.JWTTyp == TypJWT {
			c.plain = AddResource(c.plain, s.Resource)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// tie notes the claims that a scope names.
func (c *Catalogue) tie(name string) {
	for _, claim := range c.scopes[name].Claims {
		if c.tied == nil {
			c.tied = map[string]Set{}
		}
		c.tied[claim] = c.tied[claim].Union(fromValid([]string{name}, ""))
	}
}

// EntryError is a mistake in one entry of a catalogue.
type EntryError struct {
	Scope string // the entry's name
	Field string // "", "implies", "resource", "jwt_typ" or "claims"
	Err   error
}

func (e *EntryError) Error() string { return fmt.Sprintf("scope %q: %v", e.Scope, e.Err) }
func (e *EntryError) Unwrap() error { return e.Err }

func (c *Catalogue) check(name string, s Scope, first firstOf) error {
	var errs []error
	bad := func(field string, err error) { errs = append(errs, &EntryError{name, field, err}) }
	switch err := CheckToken(name); {
	case err != nil:
		bad("", err)
	case IsWildcard(name) || name == "*":
		bad("", errors.New("a wildcard is no scope: it is allowed only in the scope of a client or a user"))
	case IsReserved(name):
		bad("", fmt.Errorf("names that begin with %q are built in", Reserved))
	}
	if s.Resource != "" {
		if err := cmp.Or(c.CheckAudience(s.Resource), c.checkOneSpelling(name, s.Resource, first)); err != nil {
			bad("resource", err)
		}
	}
	if err := c.checkTyp(name, s, first); err != nil {
		bad("jwt_typ", err)
	}
	for _, i := range s.Implies {
		if _, ok := c.scopes[i]; !ok {
			bad("implies", fmt.Errorf("implies %q, which is not a scope of this table", i))
		}
	}
	for i, claim := range s.Claims {
		if slices.Contains(s.Claims[:i], claim) {
			bad("claims", fmt.Errorf("names %q twice", claim))
		}
	}
	if err := c.implied[name].CheckBounds(); err != nil {
		bad("implies", fmt.Errorf("with all that it implies no token can carry it: %w", err))
	}
	return errors.Join(errs...)
}

func (c *Catalogue) closure(name string) Set {
	seen := map[string]bool{name: true}
	for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
		for _, i := range c.scopes[queue[0]].Implies {
			if _, ok := c.scopes[i]; ok && !seen[i] {
				seen[i] = true
				queue = append(queue, i)
			}
		}
	}
	return fromValid(slices.Collect(maps.Keys(seen)), "")
}

// Has says whether a scope token exists.
func (c *Catalogue) Has(token string) bool {
	switch token {
	case ScopeClients, ScopeAdmin, ScopeSessions, ScopeIntrospect:
		return true
	}
	if c == nil {
		return false
	}
	_, ok := c.scopes[token]
	return ok
}

// Get returns what is known of a scope that NewCatalogue was given.
func (c *Catalogue) Get(token string) (Scope, bool) {
	if c == nil {
		return Scope{}, false
	}
	s, ok := c.scopes[token]
	return s, ok
}

// Names returns the scopes of the table, without the reserved ones.
func (c *Catalogue) Names() Set {
	if c == nil {
		return Set{}
	}
	return fromValid(slices.Collect(maps.Keys(c.scopes)), "")
}

// Expand returns the set with everything that its scopes imply: what a granted
// token holds.
func (c *Catalogue) Expand(s Set) Set {
	if c == nil {
		return s
	}
	for _, t := range s.tokens {
		if implied, ok := c.implied[t]; ok && !s.Includes(implied) {
			s = s.Union(implied)
		}
	}
	return s
}

// Satisfies says whether a token that holds granted may do what want asks for: want
// itself is there, or a scope that implies it. It is the one matcher of server
// and middleware; reserved scopes match only literally.
func (c *Catalogue) Satisfies(granted Set, want string) bool {
	if granted.Has(want) {
		return true
	}
	if c == nil || IsReserved(want) {
		return false
	}
	return slices.ContainsFunc(granted.tokens, func(t string) bool { return c.implied[t].Has(want) })
}

// Permits says whether rules allow a scope token, directly or because they allow
// one that implies it.
func (c *Catalogue) Permits(rules Rules, want string) bool {
	if rules.Allows(want) {
		return true
	}
	if c == nil || IsReserved(want) {
		return false
	}
	for t, implied := range c.implied {
		if rules.Allows(t) && implied.Has(want) {
			return true
		}
	}
	return false
}

// Unknown returns what of the rules stands for no scope that exists: tokens that are not in the
// catalogue, and wildcards that none of its tokens fits.
func (c *Catalogue) Unknown(rules Rules) []string {
	var list []string
	for t := range rules.exact.All() {
		if !c.Has(t) {
			list = append(list, t)
		}
	}
	for _, p := range rules.prefixes {
		if c.Names().Filter(Rules{prefixes: []string{p}}.Allows).IsEmpty() {
			list = append(list, p+"*")
		}
	}
	return list
}

// TiesClaims says whether some scope names custom claims.
func (c *Catalogue) TiesClaims() bool { return c != nil && len(c.tied) > 0 }

// Releases says whether a token with granted may carry a custom claim: no scope names the claim, or
// the token has one that does.
func (c *Catalogue) Releases(granted Set, claim string) bool {
	if c == nil {
		return true
	}
	by, tied := c.tied[claim]
	return !tied || !by.Intersect(granted).IsEmpty()
}

// Any says whether the rules permit any scope of the catalogue, the reserved ones aside.
func (c *Catalogue) Any(rules Rules) bool {
	return !c.Names().Filter(func(t string) bool { return c.Permits(rules, t) }).IsEmpty()
}

// Audience returns the resources of the scopes, sorted, without duplicates: the aud of
// a token (RFC 8707 §2.2). It is nil when no scope has a resource.
func (c *Catalogue) Audience(s Set) []string {
	if c == nil {
		return nil
	}
	var aud []string
	for _, t := range s.tokens {
		if r := c.scopes[t].Resource; r != "" && !slices.Contains(aud, r) {
			aud = append(aud, r)
		}
	}
	slices.Sort(aud)
	return aud
}
