package scopes

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestRules(t *testing.T) {
	r, err := ParseRules("plain orders:*")
	require.NoError(t, err)
	for token, want := range map[string]bool{"plain": true, "orders:read": true, "orders:a:b": true, "orders": false, "orders:": false,
		"orders-archive:read": false, "plain:x": false, "grantor:admin": false} {
		require.Equal(t, want, r.Allows(token), token)
	}
	require.Equal(t, "orders:* plain", r.String())
	for _, bad := range []string{"*", ":*", "a:*:*", "a*:*", "**:*", "grantor:*", "grantor:*/x", "grantor:a*"} {
		_, err := ParseRules(bad)
		require.ErrorIs(t, err, ErrSyntax, bad)
	}
	named, err := ParseRules("grantor:admin")
	require.NoError(t, err)
	require.True(t, named.Allows("grantor:admin"))
	require.False(t, named.Allows("grantor:clients"))
}

func TestStarsInNames(t *testing.T) {
	names := []string{"rabbitmq.read:*/*", "system/*.read", "a:*:b", "a*", "**", "*.read"}
	t.Run("SC-09 RFC 6749 §3.3 a scope may have a * in its name", func(t *testing.T) {
		table := map[string]Scope{}
		for _, n := range names {
			table[n] = Scope{}
		}
		c, err := NewCatalogue(table)
		require.NoError(t, err)
		for _, n := range names {
			rules, err := ParseRules(n)
			require.NoError(t, err, n)
			require.Equal(t, n, rules.Exact().String())
			require.True(t, c.Permits(rules, n), n)
			require.Equal(t, n, c.Names().Filter(func(t string) bool { return c.Permits(rules, t) }).String(), "and nothing else")
			require.Empty(t, c.Unknown(rules))
		}
	})
	t.Run("SC-09 a * that is no whole last segment is no wildcard", func(t *testing.T) {
		for rule, tokens := range map[string][]string{
			"rabbitmq.read:*/*": {"rabbitmq.read:a/b", "rabbitmq.read:*", "rabbitmq.read:*/*/*"},
			"system/*.read":     {"system/Patient.read", "system/*.readx"},
			"a:*:b":             {"a:x:b", "a:b", "a::b"}, "a*": {"a", "ab"}, "system/*": {"system/x"},
		} {
			rules, err := ParseRules(rule)
			require.NoError(t, err)
			for _, token := range tokens {
				require.False(t, rules.Allows(token), "%s %s", rule, token)
			}
		}
	})
	t.Run("SC-09 a wildcard allows names with a * after its colon", func(t *testing.T) {
		rules, err := ParseRules("rabbitmq.read:*")
		require.NoError(t, err)
		require.True(t, rules.Allows("rabbitmq.read:*/*"))
		require.False(t, rules.Allows("rabbitmq.write:*/*"))
	})
	t.Run("SC-09 what a client would be allowed by a wildcard alone is no scope", func(t *testing.T) {
		for _, bad := range []string{"*", "orders:*", "a:*:*"} {
			_, err := NewCatalogue(map[string]Scope{bad: {}})
			require.Error(t, err, bad)
		}
	})
}

// drawToken draws scope tokens of few characters, so that they meet.
func drawToken(t *rapid.T, label string) string {
	return rapid.StringMatching(`[ab*:/]{1,5}`).Draw(t, label)
}

func TestStarsAreLiteral(t *testing.T) {
	t.Run("SC-09 a token's * matches nothing but itself", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			granted, want := drawToken(t, "granted"), drawToken(t, "want")
			set := MustParse(granted)
			require.Equal(t, granted == want, set.Has(want))
			require.Equal(t, granted == want, set.Includes(MustParse(want)))
			var none *Catalogue
			require.Equal(t, granted == want, none.Satisfies(set, want))
			c, err := NewCatalogue(map[string]Scope{granted: {}})
			if err != nil { // wildcards are no scopes
				require.True(t, granted == "*" || IsWildcard(granted), granted)
				return
			}
			require.Equal(t, granted == want, c.Satisfies(set, want))
			require.Equal(t, granted, c.Expand(set).String())
			require.Equal(t, granted == want, Exactly(set).Allows(want))
		})
	})
	t.Run("SC-09 rules allow what they name, and by a wildcard what continues after its colon", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			rule, token := drawToken(t, "rule"), drawToken(t, "token")
			rules, err := ParseRules(rule)
			prefix, wild := strings.CutSuffix(rule, ":*")
			if rule == "*" || wild && (prefix == "" || strings.Contains(prefix, "*")) {
				require.ErrorIs(t, err, ErrSyntax)
				return
			}
			require.NoError(t, err)
			allowed := rule == token
			if wild {
				allowed = strings.HasPrefix(token, prefix+":") && token != prefix+":"
			}
			require.Equal(t, allowed, rules.Allows(token), "%s %s", rule, token)
			again, err := ParseRules(rules.String())
			require.NoError(t, err)
			require.Equal(t, rules, again)
			other, err := ParseRules(token)
			if err == nil && other.Within(rules) {
				require.Equal(t, true, rules.Allows(token) || IsWildcard(token), "%s %s", rule, token)
			}
		})
	})
}
