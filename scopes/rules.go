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
)

// IsReserved says whether a scope token belongs to Grantor itself.
func IsReserved(token string) bool { return strings.HasPrefix(token, Reserved) }

// Rules say which scopes a client or a user may be given: exact tokens, and
// wildcards that end in ":*" and stand for every token that continues after
// the colon. "orders:*" allows "orders:read" and "orders:items:read", and neither
// "orders" nor "orders-archive:read". Wildcards live in configuration only; a
// granted scope is always literal. The zero value allows nothing.
type Rules struct {
	exact    Set
	prefixes []string // each ends in ':'
}

// ParseRules reads rules in the form of a scope value. It returns an error that
// wraps ErrSyntax; a '*' anywhere but as a whole last segment is one.
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
		case !wild || prefix == "" || strings.Contains(prefix, "*"):
			return Rules{}, fmt.Errorf(`%w: a wildcard is written at the end, after a name and a colon, as in "orders:*"`, ErrSyntax)
		case IsReserved(prefix + ":"):
			return Rules{}, fmt.Errorf("%w: scopes that begin with %q are allowed one by one, never by a wildcard", ErrSyntax, Reserved)
		default:
			r.prefixes = append(r.prefixes, prefix+":")
		}
	}
	r.exact = set.Filter(func(t string) bool { return !strings.HasSuffix(t, ":*") })
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
