// Package scopes is one immutable value, the set of scope tokens of RFC 6749
// §3.3, and what a deployment says about them: which scopes exist
// ([Catalogue]), which a client may be given ([Rules]), and which audience
// follows from them.
//
// Parsing is the only way in and String prints a set back, sorted and without
// duplicates, so two sets are equal exactly if their strings are. The package
// imports the standard library alone: resource servers link it through
// middleware.
package scopes

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Bounds of one scope value, so that a hostile request costs little (docs/evidence/conformance.md
// SC-08). They hold for requests, for configuration, and for what a token carries with all that its
// scopes imply.
const (
	MaxTokens = 100  // scope tokens in one value
	MaxBytes  = 4096 // bytes in one value, spaces included
)

// ErrSyntax is wrapped by every error of this package that says that a text is
// not a scope value of RFC 6749 §3.3. Its texts quote nothing of the input.
var ErrSyntax = errors.New("malformed scope")

// Set is an immutable set of scope tokens. The zero value is the empty set.
type Set struct {
	text   string   // the tokens, sorted, joined by one space
	tokens []string // sorted, unique; substrings of text where possible
}

// Parse reads a scope value: scope tokens divided by single spaces
// (RFC 6749 §3.3). Order is meaningless and duplicates collapse. The empty text is the
// empty set, because a parameter without a value counts as omitted (RFC 6749
// §3.2). It returns an error that wraps ErrSyntax.
func Parse(text string) (Set, error) {
	if text == "" {
		return Set{}, nil
	}
	if err := checkBounds(strings.Count(text, " ")+1, len(text)); err != nil {
		return Set{}, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return ParseGranted(text)
}

func checkBounds(tokens, bytes int) error {
	switch {
	case bytes > MaxBytes:
		return fmt.Errorf("%d bytes of scope, at most %d are allowed", bytes, MaxBytes)
	case tokens > MaxTokens:
		return fmt.Errorf("%d scope tokens, at most %d are allowed", tokens, MaxTokens)
	}
	return nil
}

// ParseGranted is Parse without its bounds, for what a store or an authorization server says of a
// token: one that was issued stays readable.
func ParseGranted(text string) (Set, error) {
	if text == "" {
		return Set{}, nil
	}
	if !strings.Contains(text, " ") { // one token, the usual request: no copy
		if err := CheckToken(text); err != nil {
			return Set{}, err
		}
		return Set{text: text, tokens: []string{text}}, nil
	}
	tokens := strings.Split(text, " ")
	for _, t := range tokens {
		if err := CheckToken(t); err != nil {
			return Set{}, err
		}
	}
	return fromValid(tokens, text), nil
}

// Of makes a set of single tokens. It returns an error that wraps ErrSyntax.
func Of(tokens ...string) (Set, error) {
	return Parse(strings.Join(tokens, " "))
}

// MustParse is Parse for literals in programs: it panics on an error.
func MustParse(text string) Set {
	s, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return s
}

// fromValid sorts and compacts tokens that are known to be well formed. text, if
// it is already the canonical form, is kept.
func fromValid(tokens []string, text string) Set {
	if len(tokens) == 0 {
		return Set{}
	}
	slices.Sort(tokens)
	compact := slices.Compact(tokens)
	if joined := strings.Join(compact, " "); joined != text {
		text = joined
	}
	return Set{text: text, tokens: slices.Clip(compact)}
}

// CheckToken says whether text is one scope-token of RFC 6749 §3.3:
// 1*( %x21 / %x23-5B / %x5D-7E ).
func CheckToken(text string) error {
	if text == "" {
		return fmt.Errorf("%w: scope tokens are divided by exactly one space, with none at either end", ErrSyntax)
	}
	for i := range len(text) {
		if c := text[i]; c <= 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			return fmt.Errorf("%w: byte 0x%02x is not allowed in a scope token", ErrSyntax, c)
		}
	}
	return nil
}

// String returns the tokens in sorted order, divided by one space.
func (s Set) String() string { return s.text }

// Len returns the number of tokens.
func (s Set) Len() int { return len(s.tokens) }

// CheckBounds says whether a token may carry the set.
func (s Set) CheckBounds() error { return checkBounds(s.Len(), len(s.text)) }

// IsEmpty says whether the set holds no token.
func (s Set) IsEmpty() bool { return len(s.tokens) == 0 }

// All yields the tokens in sorted order.
func (s Set) All() iter.Seq[string] { return slices.Values(s.tokens) }

// Has says whether token is in the set: whole and case sensitive, never by
// prefix (RFC 6749 §3.3).
func (s Set) Has(token string) bool {
	if len(s.tokens) <= 8 {
		return slices.Contains(s.tokens, token)
	}
	_, ok := slices.BinarySearch(s.tokens, token)
	return ok
}

// Includes says whether every token of other is in s.
func (s Set) Includes(other Set) bool {
	for _, t := range other.tokens {
		if !s.Has(t) {
			return false
		}
	}
	return true
}

// Any says whether at least one token of other is in s.
func (s Set) Any(other Set) bool { return slices.ContainsFunc(other.tokens, s.Has) }

// Equal says whether both sets hold the same tokens.
func (s Set) Equal(other Set) bool { return s.text == other.text }

// Filter returns the tokens for which keep is true.
func (s Set) Filter(keep func(string) bool) Set {
	for i, t := range s.tokens {
		if keep(t) {
			continue
		}
		tokens := slices.Clone(s.tokens[:i])
		for _, t := range s.tokens[i+1:] {
			if keep(t) {
				tokens = append(tokens, t)
			}
		}
		return fromValid(tokens, "")
	}
	return s // the usual case: no copy
}

// Intersect returns the tokens that are in both sets.
func (s Set) Intersect(other Set) Set { return s.Filter(other.Has) }

// Minus returns the tokens of s that are not in other.
func (s Set) Minus(other Set) Set { return s.Filter(func(t string) bool { return !other.Has(t) }) }

// Union returns the tokens that are in either set. It may exceed the bounds of
// Parse: they guard the way in.
func (s Set) Union(other Set) Set {
	if s.Includes(other) {
		return s
	}
	return fromValid(slices.Concat(s.tokens, other.tokens), "")
}

// MarshalText makes a Set a string in JSON and TOML (RFC 7662 §2.2, RFC 7591 §2).
func (s Set) MarshalText() ([]byte, error) { return []byte(s.text), nil }

// UnmarshalText is Parse.
func (s *Set) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}
