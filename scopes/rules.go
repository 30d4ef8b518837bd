package scopes

import (
	"fmt"
	"slices"
	"strings"
)

// Reserved begins the scopes that grant power over Grantor itself. They match only
// literally: never by a wildcard, by implication or by default (see [Rules]).
const Reserved = "grantor:"

// The reserved scopes. No other scope may begin with [Reserved].
const (
	ScopeClients = "grantor:clients" // may register clients (RFC 7591)
	ScopeAdmin   = "grantor:admin"   // may use the admin API

	// ScopeIntrospect may introspect what the token's client sees (RFC 7662 §2.1). It is for tokens of
	// clients alone.
	ScopeIntrospect = "grantor:introspect"

	// ScopeSessions may list and end the sessions of the token's own user. It is for users' tokens
	// alone, and the user's own scope need not have it: it is power over oneself.
	ScopeSessions = "grantor:sessions"
)

// IsReserved says whether a scope token belongs to Grantor itself.
func IsReserved(token string) bool { return strings.HasPrefix(token, Reserved) }

// IsWildcard says whether rules take a token for a wildcard: it ends in ":*", so the '*' is a whole
// segment, and the last one. Any other '*' is a character like the others, as in the scopes
// "rabbitmq.read:*/*" and "system/*.read" (RFC 6749 §3.3).
func IsWildcard(token string) bool { return strings.HasSuffix(token, ":*") }

// Rules say which scopes a client or a user may be given: exact tokens, and
// wildcards that end in ":*" and stand for every token that continues after
// the colon. "orders:*" allows "orders:read" and "orders:items:read", and neither
// "orders" nor "orders-archive:read". Wildcards live in configuration only; a
// granted scope is always literal, and a '*' in it matches nothing but itself.
// The zero value allows nothing.
type Rules struct {
	exact    Set
	prefixes []string // each ends in ':'
}

// ParseRules reads rules in the form of a scope value. It returns an error that
// wraps ErrSyntax: for "*" alone too, and for a wildcard with another '*' before it.
func ParseRules(text string) (Rules, error) {
	set, err := Parse(text)
	if err != nil {
		return Rules{}, err
	}
	var r Rules
	for t := range set.All() {
		prefix, wild := strings.CutSuffix(t, ":*")
		switch {
		case !strings.Contains(t, "*"):
		case t == "*" || wild && (prefix == "" || strings.Contains(prefix, "*")):
			return Rules{}, fmt.Errorf(`%w: a wildcard is written at the end, after a name and a colon, as in "orders:*", and no other "*" is before it`, ErrSyntax)
		case IsReserved(prefix + ":"):
			return Rules{}, fmt.Errorf("%w: scopes that begin with %q are allowed one by one, never by a wildcard", ErrSyntax, Reserved)
		case wild:
			r.prefixes = append(r.prefixes, prefix+":")
		}
	}
	r.exact = set.Filter(func(t string) bool { return !IsWildcard(t) })
	return r, nil
}

// Exactly returns rules that allow the tokens of s and nothing more.
func Exactly(s Set) Rules { return Rules{exact: s} }

// Allows says whether the rules allow one literal scope token.
func (r Rules) Allows(token string) bool {
	if r.exact.Has(token) {
		return true
	}
	if len(r.prefixes) == 0 || IsReserved(token) {
		return false
	}
	return slices.ContainsFunc(r.prefixes, func(p string) bool {
		return len(token) > len(p) && strings.HasPrefix(token, p)
	})
}

// Within says whether other allows all that r allows, now and in any catalogue. It knows nothing of
// scopes that imply others: false may be too strict.
func (r Rules) Within(other Rules) bool {
	for t := range r.exact.All() {
		if !other.Allows(t) {
			return false
		}
	}
	return !slices.ContainsFunc(r.prefixes, func(p string) bool {
		return !slices.ContainsFunc(other.prefixes, func(q string) bool { return strings.HasPrefix(p, q) })
	})
}

// Exact returns the rules that are no wildcards.
func (r Rules) Exact() Set { return r.exact }

// IsEmpty says whether the rules allow nothing.
func (r Rules) IsEmpty() bool { return r.exact.IsEmpty() && len(r.prefixes) == 0 }

// String returns the rules in the form that ParseRules reads.
func (r Rules) String() string {
	tokens := slices.Clone(r.exact.tokens)
	for _, p := range r.prefixes {
		tokens = append(tokens, p+"*")
	}
	return fromValid(tokens, "").String()
}

// MarshalText is String.
func (r Rules) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseRules.
func (r *Rules) UnmarshalText(text []byte) error {
	parsed, err := ParseRules(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}
