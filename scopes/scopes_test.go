package scopes

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	t.Run("SC-01 §3.3 the grammar", func(t *testing.T) {
		for _, bad := range []string{" ", " a", "a ", "a  b", "a\tb", "a\nb", `a"b`, `a\b`, "é", "a\x7f", "a\x00"} {
			_, err := Parse(bad)
			require.ErrorIs(t, err, ErrSyntax, "%q", bad)
		}
		for _, good := range []string{"a", "!#[]~", "orders:read", "https://x/y?z=1&w", "a b c"} {
			s, err := Parse(good)
			require.NoError(t, err)
			require.Equal(t, good, s.String())
		}
	})
	t.Run("SC-06 §3.3 order is meaningless, duplicates collapse", func(t *testing.T) {
		require.Equal(t, "a b", MustParse("b a b a").String())
		require.True(t, MustParse("b a").Equal(MustParse("a b")))
	})
	t.Run("SC-07 §3.3 case sensitive, whole tokens", func(t *testing.T) {
		s := MustParse("api:read-only API:READ")
		require.False(t, s.Has("api:read"))
		require.True(t, s.Has("API:READ"))
	})
	t.Run("SC-08 bounds", func(t *testing.T) {
		_, err := Parse(strings.Repeat("a ", MaxTokens) + "a")
		require.ErrorIs(t, err, ErrSyntax)
		_, err = Parse(strings.Repeat("a", MaxBytes+1))
		require.ErrorIs(t, err, ErrSyntax)
		_, err = Parse(strings.Repeat("a", MaxBytes))
		require.NoError(t, err)
	})
	t.Run("errors repeat nothing of the input", func(t *testing.T) {
		_, err := Parse("hunter2\x01")
		require.NotContains(t, err.Error(), "hunter2")
	})
}

func TestSetOperations(t *testing.T) {
	ab, bc := MustParse("a b"), MustParse("b c")
	require.Equal(t, "a b c", ab.Union(bc).String())
	require.Equal(t, "b", ab.Intersect(bc).String())
	require.Equal(t, "a", ab.Minus(bc).String())
	require.True(t, ab.Any(bc))
	require.False(t, ab.Includes(bc))
	require.True(t, ab.Union(bc).Includes(bc))
	require.Equal(t, "a b", ab.String(), "operands stay as they are")
	require.True(t, Set{}.IsEmpty())
	many := MustParse("j i h g f e d c b a")
	require.True(t, many.Has("j"))
	require.False(t, many.Has("k"))
	text, err := json.Marshal(ab)
	require.NoError(t, err)
	require.Equal(t, `"a b"`, string(text))
	var back Set
	require.NoError(t, json.Unmarshal(text, &back))
	require.True(t, back.Equal(ab))
}

func TestCatalogue(t *testing.T) {
	c, err := NewCatalogue(map[string]Scope{
		"read": {Resource: "https://a.example"}, "write": {Resource: "https://a.example", Implies: []string{"read"}},
		"admin": {Resource: "https://b.example", Implies: []string{"write"}},
		"x":     {Implies: []string{"y"}}, "y": {Implies: []string{"x"}},
	})
	require.NoError(t, err)
	require.Equal(t, "admin read write", c.Expand(MustParse("admin")).String(), "implications are transitive")
	require.Equal(t, "x y", c.Expand(MustParse("x")).String(), "a circle makes equals")
	require.Equal(t, []string{"https://a.example", "https://b.example"}, c.Audience(MustParse("admin read")))
	require.Nil(t, c.Audience(MustParse("x")))
	require.True(t, c.Satisfies(MustParse("write"), "read"))
	require.False(t, c.Satisfies(MustParse("read"), "write"))
	wild, err := ParseRules("wri:* write")
	require.NoError(t, err)
	require.True(t, c.Permits(wild, "read"))
	require.False(t, c.Permits(wild, "admin"))
	t.Run("reserved scopes exist, match literally, and are implied by nothing", func(t *testing.T) {
		require.True(t, c.Has(ScopeAdmin))
		require.False(t, c.Has("grantor:else"))
		require.False(t, c.Satisfies(MustParse("admin"), ScopeAdmin))
		_, err := NewCatalogue(map[string]Scope{"a": {Implies: []string{ScopeAdmin}}})
		require.Error(t, err)
	})
	t.Run("all mistakes at once, each with its entry", func(t *testing.T) {
		_, err := NewCatalogue(map[string]Scope{"a b": {}, "grantor:x": {}, "w:*": {}, "r": {Resource: "nope", Implies: []string{"gone"}}})
		joined, ok := err.(interface{ Unwrap() []error })
		require.True(t, ok)
		require.Len(t, joined.Unwrap(), 4)
		var entry *EntryError
		require.True(t, errors.As(err, &entry))
	})
	t.Run("RI-01 RFC 8707 §2 a resource is an absolute URI without a fragment", func(t *testing.T) {
		for _, bad := range []string{"", "x", "/x", "https://", "https://a#", "https://a b", "//a"} {
			require.Error(t, CheckResource(bad), bad)
		}
		for _, good := range []string{"https://a", "urn:example:orders", "https://a/b?c"} {
			require.NoError(t, CheckResource(good), good)
		}
	})
	t.Run("nil knows the reserved scopes alone", func(t *testing.T) {
		var none *Catalogue
		require.True(t, none.Has(ScopeClients))
		require.False(t, none.Has("read"))
		require.Equal(t, "read", none.Expand(MustParse("read")).String())
	})
}

func FuzzParse(f *testing.F) {
	f.Add("orders:read orders:write")
	f.Add("b  a")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			require.ErrorIs(t, err, ErrSyntax)
			return
		}
		again, err := Parse(s.String())
		require.NoError(t, err)
		require.True(t, s.Equal(again))
		require.Equal(t, s.Len(), again.Len())
	})
}

func FuzzParseRules(f *testing.F) {
	f.Add("orders:* plain")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRules(text)
		if err == nil {
			require.False(t, r.Allows("grantor:x") && !r.Exact().Has("grantor:x"))
			again, err := ParseRules(r.String())
			require.NoError(t, err)
			require.Equal(t, r.String(), again.String())
		}
	})
}

func TestUnknown(t *testing.T) {
	c, err := NewCatalogue(map[string]Scope{"orders:read": {}, "plain": {}, "admin": {Implies: []string{"plain"}}})
	require.NoError(t, err)
	for text, want := range map[string][]string{
		"": nil, "orders:read plain": nil, "orders:*": nil, "grantor:admin": nil,
		"order:read": {"order:read"}, "plain order:* orders:write": {"orders:write", "order:*"}, "plain:*": {"plain:*"},
	} {
		rules, err := ParseRules(text)
		require.NoError(t, err)
		require.Equal(t, want, c.Unknown(rules), text)
	}
	for text, want := range map[string]bool{"": false, "orders:*": true, "order:*": false, "admin": true, "grantor:admin": false} {
		rules, err := ParseRules(text)
		require.NoError(t, err)
		require.Equal(t, want, c.Any(rules), text)
	}
}
