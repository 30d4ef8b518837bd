package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// keyFile writes the public half of a fresh key as a JWK Set, and returns what signs with the
// other.
func keyFile(t *testing.T) (name string, sign func(claims map[string]any) string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	require.NoError(t, err)
	name = filepath.Join(t.TempDir(), "jwks.json")
	require.NoError(t, os.WriteFile(name, set, 0o600))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	require.NoError(t, err)
	return name, func(claims map[string]any) string {
		text, err := json.Marshal(claims)
		require.NoError(t, err)
		signed, err := signer.Sign(text)
		require.NoError(t, err)
		compact, err := signed.CompactSerialize()
		require.NoError(t, err)
		return compact
	}
}

func TestClientCommandKeys(t *testing.T) {
	s := redistest.Start(t)
	d := operated(t, s, "")
	p := d.serve(t)
	base := []string{"client", "create", "--grant-type", "client_credentials", "--scope", "orders:read", "--auth-method", "private_key_jwt"}
	t.Run("CJ-01 a client with keys of its own is registered by the command line and gets a token", func(t *testing.T) {
		file, sign := keyFile(t)
		out := d.must(t, "", append(base, "--id", "signer", "--jwks", file)...)
		require.NotContains(t, out, "gcs_", "it has no secret")
		ask := func(sign func(map[string]any) string) reply {
			now := time.Now()
			assertion := sign(map[string]any{"iss": "signer", "sub": "signer", "aud": "http://127.0.0.1:8080", "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
			return post(t, p.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}, "client_id": {"signer"},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion}})
		}
		var r reply
		within(t, func() bool { r = ask(sign); return r.status == 200 })
		other, signOther := keyFile(t)
		d.must(t, "", "client", "update", "signer", "--jwks", other)
		within(t, func() bool { return ask(signOther).status == 200 })
		require.Equal(t, 401, ask(sign).status)
	})
	t.Run("CJ-01 by the URL of its keys, and a client with a secret becomes one without", func(t *testing.T) {
		d.must(t, "", append(base, "--id", "remote", "--jwks-uri", "https://client.example.com/jwks.json")...)
		require.Contains(t, d.must(t, "", "client", "show", "remote"), "https://client.example.com/jwks.json")
		d.client(t, "was-secret", "orders:read")
		d.must(t, "", "client", "update", "was-secret", "--auth-method", "private_key_jwt", "--jwks-uri", "https://client.example.com/jwks.json")
		require.NotContains(t, d.must(t, "", "client", "show", "was-secret"), "sha256:")
	})
	t.Run("CJ-01 what cannot work is refused, and says what would", func(t *testing.T) {
		file, _ := keyFile(t)
		empty := filepath.Join(t.TempDir(), "empty.json")
		require.NoError(t, os.WriteFile(empty, []byte(`{"keys":[]}`), 0o600))
		for says, args := range map[string][]string{
			"--jwks FILE":         nil,
			"one of":              {"--jwks", file, "--jwks-uri", "https://x.example.com"},
			"no such file":        {"--jwks", file + "x"},
			"--jwks":              {"--jwks", empty},
			"https":               {"--jwks-uri", "http://x.example.com"},
			"no secret":           {"--jwks", file, "--secret-stdin"},
			"go together":         {"--workload-issuer", "https://x.example.com"},
			"[[trusted_issuers]]": {"--workload-issuer", "https://x.example.com", "--workload-subject", "x"},
		} {
			out, code := d.command(t, "", append(base, args...)...)
			require.Equal(t, 2, code, out)
			require.Contains(t, out, says)
		}
	})
}

func TestUnseenTokens(t *testing.T) {
	const scopes = "\"lonely:read\" = { resource = \"https://lonely.example.com\" }\n\"never:read\" = { resource = \"https://never.example.com\" }\n"
	s := redistest.Start(t)
	d := withUsers(t, redisStore(s), redisUsers)
	text, err := os.ReadFile(d.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(d.config, []byte(strings.Replace(string(text), "[scopes]\n", "[scopes]\n"+scopes, 1)), 0o600))
	warns := func(why string) {
		p := d.serve(t)
		require.Eventually(t, func() bool { return strings.Contains(p.Log.String(), "lonely") }, 20*time.Second, 20*time.Millisecond, why)
	}
	require.Contains(t, d.must(t, "", "config", "check"), "no client of config.toml can introspect")
	warns("nobody sees them")
	out := d.must(t, "", "client", "create", "--id", "lonely-api", "--resource", "https://lonely.example.com")
	require.Contains(t, out, "--introspect audience", "a resource alone sees nothing, and is told so")
	warns("the API does not see them yet")
	require.NotContains(t, d.must(t, "", "client", "update", "lonely-api", "--introspect", "audience"), "warning")
	p := d.serve(t)
	within(t, func() bool { return strings.Contains(p.Log.String(), "never.example.com") }) // which is logged behind the other
	require.NotContains(t, p.Log.String(), "lonely", "a registered client sees them")
	require.NotContains(t, d.must(t, "", "client", "create", "--id", "other-api", "--resource", "https://other.example.com", "--introspect", "audience"), "warning")
}

func TestRotationInTheTrail(t *testing.T) {
	t.Run("S-33 a rotation by the command line is an event of the trail", func(t *testing.T) {
		s := redistest.Start(t)
		d := withUsers(t, redisStore(s)+"audit.output = \"stdout\"\n"+jwtFormat, redisUsers)
		p := d.serve(t)
		within(t, func() bool { return len(s.Client().Keys(t.Context(), "*keys:{signing}:leader").Val()) == 1 }) // the node leads
		d.must(t, "", "keys", "rotate", "--compromised", "--yes")
		require.Eventually(t, func() bool { return strings.Contains(p.Out.String(), `"event":"keys_rotated"`) }, 20*time.Second, 50*time.Millisecond)
		require.Equal(t, 1, strings.Count(p.Out.String(), `"event":"keys_rotated"`))
	})
}

func TestClientNetworksByCommand(t *testing.T) {
	d := operated(t, redistest.Start(t), "")
	p := d.serve(t)
	secret := d.client(t, "office", "orders:read", "--allowed-network", "192.0.2.0/24", "--allowed-network", "2001:db8::/32")
	status := func() int {
		return post(t, p.URL+"/oauth2/token", "office", secret, credentials("orders:read")).status
	}
	require.Contains(t, d.must(t, "", "client", "show", "office"), "192.0.2.0/24")
	require.Equal(t, 401, status())
	within(t, func() bool { return strings.Contains(p.Out.String(), `"reason":"address_not_allowed"`) })
	require.NotContains(t, d.must(t, "", "client", "show", "office"), "last_used", "who is refused does not use the client")
	d.must(t, "", "client", "update", "office", "--allowed-network", "127.0.0.0/8")
	within(t, func() bool { return status() == 200 })
	require.Contains(t, p.Out.String(), `"credential":"secret:`)
	d.must(t, "", "client", "update", "office", "--allowed-network", "192.0.2.1")
	within(t, func() bool { return status() == 401 })
	d.must(t, "", "client", "update", "office", "--allowed-network", "")
	within(t, func() bool { return status() == 200 })
	require.NotContains(t, d.must(t, "", "client", "show", "office"), "allowed_networks")
	for says, args := range map[string][]string{
		"the network is 10.0.0.0/8":      {"--allowed-network", "10.0.0.9/8"},
		"leave the zone out":             {"--allowed-network", "fe80::1%eth0"},
		"must be 1 to 1000000":           {"--requests-per-second", "-2"},
		"needs requests_per_second":      {"--requests-burst", "5"},
		"invalid argument \"often\" for": {"--requests-per-second", "often"},
	} {
		out, code := d.command(t, "", append([]string{"client", "update", "office"}, args...)...)
		require.Equal(t, 2, code, out)
		require.Contains(t, out, says)
	}
}
