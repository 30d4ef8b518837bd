package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

func TestPassedOverKeys(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	signs := jose.JSONWebKey{Key: key.Public(), KeyID: "s", Use: "sig"}
	encrypts := jose.JSONWebKey{Key: key.Public(), KeyID: "e", Use: "enc"}
	registration := func(id string, keys ...jose.JSONWebKey) members {
		return members{"client_id": id, "token_endpoint_auth_method": "private_key_jwt", "grant_types": []string{"client_credentials"}, "scope": "orders:read",
			"jwks": jose.JSONWebKeySet{Keys: keys}}
	}
	o := openDesk(t)
	t.Run("RFC 7517 §5 a key for encryption does not refuse the client; the log says that it is passed over", func(t *testing.T) {
		o.does(t, 201, "POST", "/admin/v1/clients", registration("by-api", encrypts, signs))
		shown := o.does(t, 200, "GET", clientPath("by-api"), nil).json["jwks"].(members)["keys"].([]any)
		require.Len(t, shown, 1)
		require.Equal(t, "s", shown[0].(members)["kid"])
		within(t, func() bool {
			return strings.Count(o.p.Log.String(), "registered keys that cannot be used are passed over") == 1
		})
	})
	t.Run("RFC 7517 §5 alone it does, with the reason", func(t *testing.T) {
		r := o.does(t, 400, "POST", "/admin/v1/clients", registration("none", encrypts))
		require.Contains(t, r.json["error_description"], "no key in it that can be used: keys[0]: use must be 'sig'")
	})
	t.Run("RFC 7517 §5 the command line says it as well", func(t *testing.T) {
		text, err := json.Marshal(members{"clients": []any{registration("by-file", encrypts, signs)}})
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "clients.json")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		out, code := o.command(t, "", "client", "apply", "-f", file)
		require.Zero(t, code, out)
		require.Contains(t, out, `warning: clients[0] "by-file": jwks: passed over: keys[0]: use must be "sig"`)
	})
}
