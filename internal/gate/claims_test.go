package gate

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClaimsHeader(t *testing.T) {
	key, err := GenerateKey("ES256")
	require.NoError(t, err)
	identity, err := NewIdentity("https://gate.example.com", []Key{key})
	require.NoError(t, err)
	g, log := newGate(t, func(c *Config) { c.Claims, c.Identity = []string{"tenant_id", "role", "limits", "absent"}, identity })
	const claimed = "Authorization: Bearer claims"
	t.Run("RFC 9110 §5.5 the chosen claims as JSON that fits a header", func(t *testing.T) {
		w := check(g, "GET", "/verify?scope=orders:read&audience="+orders, claimed)
		require.Equal(t, 200, w.Code, w.Body.String())
		h := w.Header()
		require.Equal(t, []string{`{"limits":{"seats":3},"role":"%C3%A9\r\nX:%20<1>","tenant_id":"t-7"}`}, h[HeaderClaims])
		back, err := url.PathUnescape(h.Get(HeaderClaims))
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(back), &got))
		require.Equal(t, map[string]any{"tenant_id": "t-7", "role": "é\r\nX: <1>", "limits": map[string]any{"seats": 3.0}}, got)
	})
	t.Run("Grantor-Identity has them too", func(t *testing.T) {
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(check(g, "GET", "/verify?scope=orders:read&audience="+orders, claimed).Header().Get(HeaderIdentity), ".")[1])
		require.NoError(t, err)
		var said map[string]any
		require.NoError(t, json.Unmarshal(payload, &said))
		require.Equal(t, "t-7", said["tenant_id"])
		require.Equal(t, "m", said["sub"])
		require.NotContains(t, said, "hidden")
	})
	t.Run("a token without claims, and a gate without --claims, send an empty header", func(t *testing.T) {
		require.Equal(t, []string{""}, check(g, "GET", "/verify?scope=orders:read&audience="+orders, machine).Header()[HeaderClaims])
		plain, _ := newGate(t, nil)
		require.Equal(t, []string{""}, check(plain, "GET", "/verify?scope=orders:read&audience="+orders, claimed).Header()[HeaderClaims])
	})
	t.Run("more than 2 kB of claims are refused with the size", func(t *testing.T) {
		w := check(g, "GET", "/verify?scope=orders:read&audience="+orders, "Authorization: Bearer wide")
		require.Equal(t, 500, w.Code)
		require.Empty(t, w.Header().Get(HeaderClaims))
		require.Contains(t, w.Body.String(), "2116 bytes of JSON, and a header carries at most 2048")
		require.Contains(t, log.String(), "2116 bytes")
	})
	for want, names := range map[string][]string{"RFC 7519 §4.1": {"sub"}, "by Grantor": {"token_exp"}, "twice": {"a", "a"}, "needs a name": {""}} {
		require.ErrorContains(t, Config{Claims: names}.Check(), want)
	}
}
