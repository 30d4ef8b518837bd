package integration_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/postgrestest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/users"
	"github.com/grantor-auth/grantor/users/database"
)

// claimed is what tokens of this test say.
var claimed = map[string]any{"role": "editor", "tenant_id": "t-7", "limits": map[string]any{"seats": 3.0}}

// TestClaims: the role of a user in Django's own table and the tenant of a client reach everybody
// who reads a token.
func TestClaims(t *testing.T) {
	server := postgrestest.Start(t)
	name := django(t, server.Folder, "create")[0]
	db, err := database.Open(users.Postgres, server.DSN)
	require.NoError(t, err)
	defer db.Close()
	role := func(value string) {
		_, err := db.ExecContext(t.Context(), "UPDATE auth_user SET role = $1", value)
		require.NoError(t, err)
	}
	_, err = db.ExecContext(t.Context(), "ALTER TABLE auth_user ADD role text")
	require.NoError(t, err)
	role("editor")
	d := withUsers(t, redisStore(redistest.Start(t))+jwtFormat, `[users]
source = "sql"
scope = "orders:read"
[users.sql]
driver = "postgres"
dsn = "`+server.DSN+`"
claims_columns = ["role"]
query = "SELECT id, username, password, role FROM auth_user WHERE username = $1 AND is_active"
recheck = "SELECT id, username, password, role FROM auth_user WHERE id::text = $1 AND is_active"
`)
	d.must(t, "", "client", "create", "--id", "phone", "--auth-method", "none", "--grant-type", "password", "--grant-type", "refresh_token",
		"--scope", "orders:*", "--default-scope", "orders:read", "--claim", "tenant_id=t-6", "--claim", "gone=1")
	d.must(t, "", "client", "update", "phone", "--claim", "tenant_id=t-7", "--claim", `limits:={"seats":3}`, "--claim", "gone=")
	p := d.serve(t)
	enter := func(more url.Values) reply {
		form := url.Values{"client_id": {"phone"}}
		for key, values := range more {
			form[key] = values
		}
		return post(t, p.URL+"/oauth2/token", "", "", form)
	}
	r := enter(url.Values{"grant_type": {"password"}, "username": {name}, "password": {djangoPassword}})
	require.Equal(t, 200, r.status, r.body)
	token, jwks := r.text("access_token"), p.URL+"/oauth2/jwks"

	t.Run("RFC 7662 §2.2 the introspection answer, and middleware.TokenFrom", func(t *testing.T) {
		about := d.introspect(t, p, token)
		for claim, value := range claimed {
			require.Equal(t, value, about.json[claim], about.body)
		}
		require.NotContains(t, about.json, "gone")
		v, err := middleware.NewIntrospection(middleware.IntrospectionConfig{URL: p.URL + "/oauth2/introspect", ClientID: "api", ClientSecret: d.api})
		require.NoError(t, err)
		guard, err := middleware.New(middleware.Config{Verifier: v})
		require.NoError(t, err)
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		guard.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			require.Equal(t, claimed, middleware.TokenFrom(r.Context()).Claims)
		})).ServeHTTP(w, req)
		require.Equal(t, 200, w.Code)
	})
	t.Run("RFC 9068 §2.2 the JWT, by go-jose", func(t *testing.T) {
		signed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
		require.NoError(t, err)
		var set jose.JSONWebKeySet
		require.NoError(t, json.Unmarshal([]byte(p.get(t, "/oauth2/jwks")), &set))
		payload, err := signed.Verify(set.Key(signed.Signatures[0].Header.KeyID)[0].Key)
		require.NoError(t, err)
		var said map[string]any
		require.NoError(t, json.Unmarshal(payload, &said))
		for claim, value := range claimed {
			require.Equal(t, value, said[claim])
		}
	})
	t.Run("RFC 9068 §2.2 the JWT, by PyJWT", func(t *testing.T) {
		python(t, "jwt, cryptography", `
import sys, jwt
jwks, token = sys.argv[1:]
key = jwt.PyJWKClient(jwks).get_signing_key_from_jwt(token)
said = jwt.decode(token, key.key, algorithms=["ES256"], audience="https://orders.example.com", issuer="http://127.0.0.1:8080")
assert said["role"] == "editor" and said["tenant_id"] == "t-7" and said["limits"] == {"seats": 3}
`, jwks, token)
	})
	t.Run("RFC 9068 §2.2 the JWT, by jose", func(t *testing.T) {
		node(t, "claims.mjs", "ISSUER=http://127.0.0.1:8080", "JWKS="+jwks, "TOKEN="+token)
	})
	t.Run("a role that Django changed is in the next access token", func(t *testing.T) {
		role("reader")
		next := enter(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {r.text("refresh_token")}})
		require.Equal(t, "reader", d.introspect(t, p, next.text("access_token")).json["role"])
	})
	t.Run("§4.1 a registered name is refused by the command line", func(t *testing.T) {
		out, code := d.command(t, "", "client", "update", "phone", "--claim", "sub=u-2")
		require.Equal(t, 2, code)
		require.Contains(t, out, `claim "sub": the name has a meaning by RFC 7519 §4.1`)
		require.NotContains(t, d.must(t, "", "client", "show", "phone"), `"sub"`)
	})
}

// TestClaimsHookOfTheBinary: without a good answer of the application there is no token.
func TestClaimsHookOfTheBinary(t *testing.T) {
	var answer atomic.Pointer[http.HandlerFunc]
	says := func(f http.HandlerFunc) { answer.Store(&f) }
	text := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else nobody notices that Grantor hung up
		(*answer.Load())(w, r)
	}))
	defer hook.Close()
	d := withUsers(t, redisStore(redistest.Start(t)), configUsers()+"[hooks.claims]\nurl = \""+hook.URL+"\"\nsecret = \""+strings.Repeat("s", 32)+"\"\ntimeout = \"500ms\"\n")
	p := d.serve(t)
	says(text(`{"claims":{"tenant_id":"t-9"}}`))
	r := login(t, p, "ada", adaPassword)
	require.Equal(t, 200, r.status, r.body)
	require.Equal(t, "t-9", d.introspect(t, p, r.text("access_token")).json["tenant_id"])
	for name, f := range map[string]http.HandlerFunc{
		"slow":              func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"5 MB":              text(`{"claims":{"a":"` + strings.Repeat("x", 5<<20) + `"}}`),
		"wrong types":       text(`{"claims":{"a":[null]}}`),
		"a registered name": text(`{"claims":{"tenant_id":"t-9","sub":"u-2"}}`),
		"a redirect":        func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"cut short":         func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run("503 and no token where the application is "+name, func(t *testing.T) {
			says(f)
			for _, refused := range []reply{login(t, p, "ada", adaPassword), refresh(t, p, "app", r.text("refresh_token")),
				post(t, p.URL+"/oauth2/token", "machine", d.machine, credentials("orders:read"))} {
				require.Equal(t, 503, refused.status, refused.body)
				require.Equal(t, "temporarily_unavailable", refused.json["error"])
				require.NotContains(t, refused.body, "access_token")
			}
			require.Equal(t, "t-9", d.introspect(t, p, r.text("access_token")).json["tenant_id"], "introspection asks nobody")
		})
	}
	t.Run("503 where nobody listens, and the session is there afterwards", func(t *testing.T) {
		says(text(`{"claims":{}}`))
		require.Equal(t, 200, refresh(t, p, "app", r.text("refresh_token")).status)
		hook.Close()
		begun := time.Now()
		require.Equal(t, 503, login(t, p, "ada", adaPassword).status)
		require.Less(t, time.Since(begun), 10*time.Second)
	})
}

// TestGuideClaims: the configuration of docs/guides/claims.md does what the page says.
func TestGuideClaims(t *testing.T) {
	page, err := os.ReadFile("../docs/guides/claims.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)<!-- played by TestGuideClaims -->\n```toml\n(.*?)```").FindSubmatch(page)
	require.NotNil(t, block)
	config := t.TempDir() + "/config.toml"
	require.NoError(t, os.WriteFile(config, block[1], 0o600))
	p := run(t, built(t, module), nil, "serve", "--config", config, "--listen", "127.0.0.1:0")
	said := func(client, secret string, form url.Values) map[string]any {
		r := post(t, p.URL+"/oauth2/token", client, secret, form)
		require.Equal(t, 200, r.status, r.body)
		return post(t, p.URL+"/oauth2/introspect", "orders-api", "gcs_7jl6Ull9TdT8U6LYENh10i02b5GBSGUQo2SmPmtgB4Qi0bTLQ7", url.Values{"token": {r.text("access_token")}}).json
	}
	ada := func(scope string) map[string]any {
		return said("", "", url.Values{"grant_type": {"password"}, "client_id": {"app"}, "username": {"ada"}, "password": {adaPassword}, "scope": {scope}})
	}
	require.Equal(t, "t-7", ada("orders:write")["tenant_id"])
	require.Equal(t, "editor", ada("orders:write")["role"])
	require.Equal(t, "t-7", ada("orders:read")["tenant_id"])
	require.NotContains(t, ada("orders:read"), "role")
	job := said("billing-job", "gcs_KllMi3OucHeJLuIdZQssi2Ah5MWOLWjTzI8AN7DLleFY0xZSu5", url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}})
	require.Equal(t, map[string]any{"seats": 3.0}, job["limits"])
}
