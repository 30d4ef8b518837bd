package integration_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

const jwtFormat = "tokens.access_token_format = \"jwt\"\nkeys.encryption_key = \"0123456789abcdefghijklmnopqrstuvwxyzABCD\"\n"

// serveAt starts Grantor with variables.
func (d deployment) serveAt(t *testing.T, environ ...string) *process {
	t.Helper()
	return run(t, built(t, module), environ, "serve", "--config", d.config, "--listen", "127.0.0.1:0")
}

func TestJWTOnTwoNodes(t *testing.T) {
	s := redistest.Start(t)
	d := deploy(t, redisStore(s)+jwtFormat+"limits.client_failures = -1\n")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "1", Algorithm: "EdDSA", Use: "sig"}}})
	require.NoError(t, err)
	a, b := d.serveAt(t), d.serveAt(t)

	t.Run("AT-20 issued on one node, introspected on the other, revoked there, dead here", func(t *testing.T) {
		token := d.token(t, a)
		require.Equal(t, 2, strings.Count(token, "."))
		require.Equal(t, true, d.introspect(t, b, token).json["active"])
		require.Equal(t, 200, post(t, b.URL+"/oauth2/revoke", "machine", d.machine, url.Values{"token": {token}}).status)
		require.Equal(t, dead, d.introspect(t, a, token).body)
	})
	t.Run("JK-01 all nodes publish the same keys, and a dump of Redis forges nothing", func(t *testing.T) {
		require.Equal(t, a.get(t, "/oauth2/jwks"), b.get(t, "/oauth2/jwks"))
		require.NotContains(t, dumpAll(t, s), "PRIVATE")
		require.NotContains(t, dumpAll(t, s), `"d":"`)
	})
	t.Run("V-14 CJ-08 S-52 one assertion, 32 at once, two nodes: one success", func(t *testing.T) {
		file := t.TempDir() + "/clients.json"
		doc := `[{"client_id":"signer","token_endpoint_auth_method":"private_key_jwt","grant_types":["client_credentials"],"scope":"orders:read","default_scope":"orders:read","jwks":` + string(set) + `}]`
		require.NoError(t, os.WriteFile(file, []byte(doc), 0o600))
		require.Contains(t, d.must(t, "", "client", "apply", "-f", file), "1 created")
		require.Contains(t, d.must(t, "", "client", "apply", "-f", file), "1 unchanged", "apply is idempotent")
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: private}, nil)
		require.NoError(t, err)
		assertion := func() string {
			claims, err := json.Marshal(map[string]any{"iss": "signer", "sub": "signer", "aud": "http://127.0.0.1:8080", "exp": time.Now().Add(time.Minute).Unix(), "jti": rand.Text()})
			require.NoError(t, err)
			jws, err := signer.Sign(claims)
			require.NoError(t, err)
			text, err := jws.CompactSerialize()
			require.NoError(t, err)
			return text
		}
		ask := func(p *process, text string) int {
			r, err := tryPost(t.Context(), p.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"client_credentials"}, "client_assertion": {text},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}})
			if err != nil {
				return 0
			}
			return r.status
		}
		within(t, func() bool { return ask(b, assertion()) == 200 })
		for range 3 {
			text := assertion()
			var good, refused atomic.Int64
			var wg sync.WaitGroup
			for i := range 32 {
				p := []*process{a, b}[i%2]
				wg.Go(func() {
					switch ask(p, text) {
					case 200:
						good.Add(1)
					case 401, 429:
						refused.Add(1)
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, 1, good.Load())
			require.EqualValues(t, 31, refused.Load())
		}
	})
	t.Run("AT-10 PyJWT, which we did not write, accepts our tokens by our JWKS", func(t *testing.T) {
		const python = "/usr/bin/python3"
		if exec.Command(python, "-c", "import jwt, cryptography").Run() != nil {
			require.Empty(t, os.Getenv("GRANTOR_TEST_REQUIRE_PYTHON"), "python3-jwt is not installed")
			t.Skip("python3-jwt is not installed")
		}
		c := exec.Command(python, "-c", `
import sys, jwt
jwks, token, issuer = sys.argv[1], sys.stdin.read(), sys.argv[2]
key = jwt.PyJWKClient(jwks).get_signing_key_from_jwt(token)
claims = jwt.decode(token, key.key, algorithms=["ES256"], audience="https://orders.example.com", issuer=issuer,
    options={"require": ["exp", "iat", "sub", "aud", "iss", "jti"]})
assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
assert claims["client_id"] == "machine" and claims["scope"] == "orders:read"
try:
    jwt.decode(token, key.key, algorithms=["ES256"], audience="https://other.example.com", issuer=issuer)
    sys.exit("another audience was accepted")
except jwt.InvalidAudienceError:
    print("ok")
`, a.URL+"/oauth2/jwks", "http://127.0.0.1:8080")
		c.Stdin = strings.NewReader(d.token(t, b))
		out, err := c.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, "ok\n", string(out))
	})
	t.Run("V-24 a compromised key is refused on all nodes within seconds, and new tokens work", func(t *testing.T) {
		token := d.token(t, a)
		require.Contains(t, d.must(t, "", "keys", "list"), "current")
		at := d.poll(t, a, "").text("position")
		header, err := base64.RawURLEncoding.DecodeString(token[:strings.IndexByte(token, '.')])
		require.NoError(t, err)
		var named struct {
			KeyID string `json:"kid"`
		}
		require.NoError(t, json.Unmarshal(header, &named))
		d.must(t, "", "keys", "rotate", "--compromised", "--yes")
		told := d.poll(t, b, at).json["ended"]
		require.Contains(t, told, named.KeyID, "verifiers that follow need not wait for the JWKS")
		require.Contains(t, told, "?")
		for _, p := range []*process{a, b} {
			require.Eventually(t, func() bool { return d.introspect(t, p, token).body == dead }, 10*time.Second, 50*time.Millisecond)
		}
		fresh := d.token(t, b)
		require.Equal(t, true, d.introspect(t, a, fresh).json["active"])
	})
	t.Run("another encryption key does not start, and says why", func(t *testing.T) {
		c := exec.Command(built(t, module), "serve", "--config", d.config, "--listen", "127.0.0.1:0")
		c.Env = []string{"GRANTOR_KEYS__ENCRYPTION_KEY=another-key-of-more-than-thirty-two-characters"}
		out, err := c.CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "encryption_key")
	})
}
