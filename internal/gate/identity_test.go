package gate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

func pemOf(t *testing.T, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestIdentity(t *testing.T) {
	for _, alg := range []string{"ES256", "EdDSA"} {
		t.Run("RFC 7515 an API verifies it by the gate's keys: "+alg, func(t *testing.T) {
			key, err := GenerateKey(alg)
			require.NoError(t, err)
			older, err := GenerateKey("ES256")
			require.NoError(t, err)
			id, err := NewIdentity("https://gate.example.com", []Key{key, older})
			require.NoError(t, err)
			now := time.Now()
			id.now = func() time.Time { return now }
			g, _ := newGate(t, func(c *Config) { c.Identity = id })
			ask := func(token string) string {
				w := check(g, "GET", "/verify?scope=orders:read&audience="+orders, "Authorization: Bearer "+token)
				require.Equal(t, 200, w.Code)
				require.Len(t, w.Header()[HeaderIdentity], 1)
				return w.Header().Get(HeaderIdentity)
			}
			var set jose.JSONWebKeySet
			keys := check(g, "GET", "/jwks")
			require.NoError(t, json.Unmarshal(keys.Body.Bytes(), &set))
			require.Len(t, set.Keys, 2)
			require.NotContains(t, keys.Body.String(), `"d"`, "RFC 7517 §9.2 no private key")
			text := ask("machine")
			parsed, err := jose.ParseSigned(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
			require.NoError(t, err)
			require.Equal(t, identityType, parsed.Signatures[0].Header.ExtraHeaders[jose.HeaderType])
			payload, err := parsed.Verify(set.Key(parsed.Signatures[0].Header.KeyID)[0])
			require.NoError(t, err)
			var claims map[string]any
			require.NoError(t, json.Unmarshal(payload, &claims))
			require.Equal(t, "https://gate.example.com", claims["iss"])
			require.Equal(t, orders, claims["aud"])
			require.Equal(t, "m", claims["sub"])
			require.Equal(t, "client", claims["sub_type"])
			require.Equal(t, "orders:read", claims["scope"])
			require.InDelta(t, 60, claims["exp"].(float64)-claims["iat"].(float64), 0)
			t.Run("one signature serves for half of its life", func(t *testing.T) {
				now = now.Add(29 * time.Second)
				require.Equal(t, text, ask("machine"))
				require.NotEqual(t, text, ask("odd"))
				now = now.Add(time.Second)
				require.NotEqual(t, text, ask("machine"))
			})
		})
	}
	t.Run("it does not outlive the token", func(t *testing.T) {
		key, err := GenerateKey("EdDSA")
		require.NoError(t, err)
		id, err := NewIdentity("https://gate.example.com", []Key{key})
		require.NoError(t, err)
		token, err := tokens(t.Context(), "machine")
		require.NoError(t, err)
		token.ExpiresAt = time.Now().Add(10 * time.Second)
		text, err := id.of(token, orders, "")
		require.NoError(t, err)
		parsed, err := jose.ParseSigned(text, []jose.SignatureAlgorithm{jose.EdDSA})
		require.NoError(t, err)
		var claims struct{ Exp int64 }
		require.NoError(t, json.Unmarshal(parsed.UnsafePayloadWithoutVerification(), &claims))
		require.Equal(t, token.ExpiresAt.Unix(), claims.Exp)
		t.Run("and few are remembered", func(t *testing.T) {
			for i := range 2 * maxSigned {
				id.keep([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, signedIdentity{until: time.Now().Add(time.Hour)}, time.Now())
			}
			require.LessOrEqual(t, len(id.signed), maxSigned)
		})
	})
	t.Run("a demand without an audience is a mistake of the proxy", func(t *testing.T) {
		key, err := GenerateKey("EdDSA")
		require.NoError(t, err)
		id, err := NewIdentity("https://gate.example.com", []Key{key})
		require.NoError(t, err)
		g, _ := newGate(t, func(c *Config) { c.Identity = id })
		w := check(g, "GET", "/verify?scope=orders:read", machine)
		require.Equal(t, 500, w.Code)
		require.Contains(t, w.Body.String(), "audience is missing")
	})
}

func TestKeys(t *testing.T) {
	key, err := GenerateKey("ES256")
	require.NoError(t, err)
	again, err := ReadKey(pemOf(t, key.private))
	require.NoError(t, err)
	require.Equal(t, key.id, again.id, "RFC 7638 the id comes from the key")
	der, err := x509.MarshalECPrivateKey(key.private.(*ecdsa.PrivateKey))
	require.NoError(t, err)
	again, err = ReadKey(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	require.NoError(t, err)
	require.Equal(t, key.id, again.id)
	_, err = GenerateKey("RS256")
	require.ErrorContains(t, err, "ES256 or EdDSA")
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(key.private.Public())
	require.NoError(t, err)
	for says, text := range map[string][]byte{
		"openssl genpkey": []byte("secret"),
		"P-256":           pemOf(t, other),
		"neither P-256":   pemOf(t, rsaKey),
		`"PUBLIC KEY"`:    pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		"no PKCS #8 key":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}),
		"no EC key":       pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("x")}),
	} {
		_, err := ReadKey(text)
		require.ErrorContains(t, err, says)
	}
}
