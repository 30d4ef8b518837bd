package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// trusted is an issuer of JWTs that is found by its metadata, until the test ends.
func trusted(t *testing.T) (issuer string, sign func(claims map[string]any) string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server":
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": server.URL, "jwks_uri": server.URL + "/keys"})
		case "/keys":
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "p", Algorithm: "ES256", Use: "sig"}}})
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "p"))
	require.NoError(t, err)
	return server.URL, func(claims map[string]any) string {
		text, err := json.Marshal(claims)
		require.NoError(t, err)
		jws, err := signer.Sign(text)
		require.NoError(t, err)
		compact, err := jws.CompactSerialize()
		require.NoError(t, err)
		return compact
	}
}

// TestWorkloadIdentity: a platform's token proves a client, through the whole binary and by
// discovery.
func TestWorkloadIdentity(t *testing.T) {
	issuer, sign := trusted(t)
	const subject = "system:serviceaccount:shop:billing"
	d := deploy(t, redisStore(redistest.Start(t))+"limits.client_failures = -1\n")
	f, err := os.OpenFile(d.config, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`
[[trusted_issuers]]
issuer = "` + issuer + `"
[[clients]]
client_id = "billing"
token_endpoint_auth_method = "private_key_jwt"
assertion = { issuer = "` + issuer + `", subject = "` + subject + `" }
grant_types = ["client_credentials"]
scope = "orders:read"
default_scope = "orders:read"
`)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	p := d.serve(t)
	ask := func(change func(map[string]any)) reply {
		claims := map[string]any{"iss": issuer, "sub": subject, "aud": []string{"http://127.0.0.1:8080"}, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
		if change != nil {
			change(claims)
		}
		return post(t, p.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"client_credentials"}, "client_id": {"billing"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {sign(claims)}})
	}
	t.Run("RFC 7523 §2.2 a workload's token, presented again and again, is the client", func(t *testing.T) {
		for range 3 {
			r := ask(nil)
			require.Equal(t, 200, r.status, r.body)
			require.Equal(t, "billing", d.introspect(t, p, r.text("access_token")).json["client_id"])
		}
	})
	for name, change := range map[string]func(map[string]any){
		"CJ-04 another audience": func(c map[string]any) { c["aud"] = "https://other.example.com" },
		"another workload":       func(c map[string]any) { c["sub"] = "system:serviceaccount:shop:other" },
		"CJ-05 expired":          func(c map[string]any) { c["exp"] = time.Now().Add(-5 * time.Minute).Unix() },
		"another issuer":         func(c map[string]any) { c["iss"] = "https://evil.example.com" },
	} {
		t.Run("401 for "+name, func(t *testing.T) {
			r := ask(change)
			require.Equal(t, 401, r.status, r.body)
			require.Equal(t, "invalid_client", r.json["error"])
		})
	}
}

func TestCrossOrigin(t *testing.T) {
	d := deploy(t, "store = \"memory\"\ncors.origins = [\"https://app.example.com\"]\ncors.headers = [\"X-Tenant\"]\nmetadata.preset = \"mcp\"\n")
	p := d.serve(t)
	preflight := func(origin string, headers ...string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, p.URL+"/oauth2/token", nil)
		require.NoError(t, err)
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "POST")
		req.Header.Set("Access-Control-Request-Headers", strings.Join(append([]string{"authorization"}, headers...), ","))
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res
	}
	require.Equal(t, "https://app.example.com", preflight("https://app.example.com").Header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, preflight("https://evil.example.com").Header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, preflight("https://app.example.com").Header.Get("Access-Control-Allow-Credentials"))
	for _, header := range []string{"content-type", "traceparent", "tracestate", "baggage", "sentry-trace", "x-request-id", "x-tenant"} {
		t.Run("Fetch §3.2 pages may send "+header, func(t *testing.T) {
			require.Contains(t, preflight("https://app.example.com", header).Header.Get("Access-Control-Allow-Headers"), header)
		})
	}
	t.Run("RFC 9700 §2.6 no page reads the authorization endpoint, which is for navigation", func(t *testing.T) {
		for _, method := range []string{http.MethodGet, http.MethodOptions} {
			req, err := http.NewRequestWithContext(t.Context(), method, p.URL+"/oauth2/authorize?response_type=code", nil)
			require.NoError(t, err)
			req.Header.Set("Origin", "https://app.example.com")
			req.Header.Set("Access-Control-Request-Method", "GET")
			res, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Contains(t, []int{400, 405}, res.StatusCode)
			require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
		}
	})
	t.Run("Fetch §3.2 and no header that nobody named", func(t *testing.T) {
		require.Empty(t, preflight("https://app.example.com", "x-other").Header.Get("Access-Control-Allow-Origin"))
	})
}
