package dpop

import (
	"crypto"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/dpop/dpoptest"
	"github.com/grantor-auth/grantor/internal/jws"
	"github.com/grantor-auth/grantor/internal/jwt"
)

// FuzzCheck: a proof is refused with a Reason, or what go-jose reads of it is a public key of the
// same thumbprint. Signatures are not looked at: the fuzzer has no key.
func FuzzCheck(f *testing.F) {
	k := dpoptest.New(f)
	seed := func(header map[string]any) {
		parts := strings.Split(k.Sign(header, map[string]any{"jti": "a", "htm": method, "htu": where, "iat": 1_800_000_000}), ".")
		h, err := jws.Decode(parts[0])
		require.NoError(f, err)
		p, err := jws.Decode(parts[1])
		require.NoError(f, err)
		f.Add(h, p)
	}
	seed(k.Header())
	seed(k.Header(dpoptest.Change{"jwk": k.JWK(dpoptest.Change{"d": "AAAA"})}))
	seed(k.Header(dpoptest.Change{"alg": "RS256", "jwk": map[string]any{"kty": "RSA", "e": "AQAB", "n": strings.Repeat("x", 342)}}))
	f.Fuzz(func(t *testing.T, header, payload []byte) {
		proof := b64(header) + "." + b64(payload) + "." + b64(make([]byte, 64))
		p, err := (&Checker{}).Check(proof, wanted)
		require.Nil(t, p)
		require.Contains(t, Reasons(), err)
		u, err := jwt.Parse(proof, jwt.Profile{Algorithms: Algorithms(), OwnKey: true})
		if err != nil {
			return
		}
		key := keyOf(t, header)
		require.True(t, key.IsPublic())
		sum, err := key.Thumbprint(crypto.SHA256)
		require.NoError(t, err)
		require.Equal(t, [32]byte(sum), [32]byte(u.Thumbprint()))
	})
}

// keyOf has go-jose read what makes the key in jwk.
func keyOf(t *testing.T, header []byte) (key jose.JSONWebKey) {
	t.Helper()
	var members, jwk map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(header, &members))
	require.NoError(t, json.Unmarshal(members["jwk"], &jwk))
	maps.DeleteFunc(jwk, func(name string, _ json.RawMessage) bool {
		return !slices.Contains([]string{"kty", "crv", "x", "y", "n", "e"}, name)
	})
	text, err := json.Marshal(jwk)
	require.NoError(t, err)
	require.NoError(t, key.UnmarshalJSON(text))
	return key
}
