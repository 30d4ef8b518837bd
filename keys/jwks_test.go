package keys_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/keys"
)

func TestJWKS(t *testing.T) {
	store := keys.NewMemory()
	r := open(t, config(store, keys.Algorithms()...))
	body, etag := r.JWKS()
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	require.NoError(t, json.Unmarshal(body, &set))
	require.Len(t, set.Keys, 6, "JK-04 what is next is published too")
	seen := map[string]bool{}
	for _, k := range set.Keys {
		kty := map[string]string{"ES256": "EC", "EdDSA": "OKP", "RS256": "RSA"}[k["alg"]]
		require.Equal(t, kty, k["kty"], "JK-03, JK-05 asymmetric only")
		require.Equal(t, "sig", k["use"], "JK-03")
		require.NotEmpty(t, k["kid"], "JK-03")
		require.False(t, seen[k["kid"]], "JK-03 unique")
		seen[k["kid"]] = true
		for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			require.NotContains(t, k, member, "JK-02 public members only")
		}
		if kty == "RSA" {
			require.GreaterOrEqual(t, len(decode(t, k["n"]))*8, 2048, "JK-05")
		}
	}
	again, sameTag := r.JWKS()
	require.Equal(t, body, again)
	require.Equal(t, etag, sameTag)
	require.Regexp(t, `^"[A-Za-z0-9_-]{16}"$`, etag)
	other, otherTag := open(t, config(store, keys.Algorithms()...)).JWKS()
	require.Equal(t, string(body), string(other), "all nodes say the same")
	require.Equal(t, etag, otherTag)
	require.NoError(t, r.Rotate(t.Context(), true))
	_, etag = r.JWKS()
	require.NotEqual(t, sameTag, etag)
}
