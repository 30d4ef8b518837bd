package tokens

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/scopes"
)

func TestJWTDigestInRecords(t *testing.T) {
	h := Hash{1}
	digest := DigestOf("header.claims.signature")
	store := func(scope string) (client, user *Record, text string) {
		r := &Record{ClientID: "c", Scope: scope, JWTDigest: digest, IssuedAt: time.Unix(1, 0), TTL: time.Minute, Audience: []string{"https://a"}}
		value := appendClientRecord(nil, h, r)
		client, err := parseClientRecord(value, h)
		require.NoError(t, err)
		user, err = parseUserRecord(appendUserRecord(nil, h, r), h, &Session{Expires: time.Unix(1<<33, 0)})
		require.NoError(t, err)
		d := recordReader{rest: value[atRecordIssued:]}
		d.times()
		d.text()
		return client, user, d.text()
	}
	t.Run("S-65 the digest stands where versions before read a scope, and they leave out what no catalogue has", func(t *testing.T) {
		client, user, text := store("orders:read orders:write")
		for _, r := range []*Record{client, user} {
			require.Equal(t, digest, r.JWTDigest)
			require.Equal(t, "orders:read orders:write", r.Scope)
		}
		seen, err := scopes.Parse(text)
		require.NoError(t, err)
		require.Equal(t, 3, seen.Len())
		for s := range seen.All() {
			if strings.HasPrefix(s, "grantor:") {
				require.Equal(t, digestScope[1:], s[:len(s)-digestDigits])
				require.False(t, (*scopes.Catalogue)(nil).Has(s))
				_, err := scopes.NewCatalogue(map[string]scopes.Scope{s: {}})
				require.Error(t, err, "no catalogue can have it")
			}
		}
	})
	t.Run("S-65 where versions before could not read it, there is no digest", func(t *testing.T) {
		long := strings.Repeat("s", maxScopeBytes-len(digestScope)-digestDigits)
		for scope, there := range map[string]bool{"": false, "a": true, long: true, long + "s": false,
			strings.Repeat("a ", maxScopeTokens-2) + "a": true, strings.Repeat("a ", maxScopeTokens-1) + "a": false} {
			client, user, text := store(scope)
			for _, r := range []*Record{client, user} {
				require.Equal(t, scope, r.Scope)
				require.Equal(t, there, r.JWTDigest == digest)
				require.Equal(t, !there, r.JWTDigest == JWTDigest{})
			}
			_, err := scopes.Parse(text)
			require.NoError(t, err)
		}
		require.Equal(t, scopes.MaxTokens, maxScopeTokens)
		require.Equal(t, scopes.MaxBytes, maxScopeBytes)
	})
	t.Run("half of SHA-256 covers every character of the text", func(t *testing.T) {
		text := "header.claims.signature"
		for i := range text {
			require.NotEqual(t, digest, DigestOf(text[:i]+"X"+text[i+1:]))
		}
	})
}
