package middleware

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

const mcpURL = "https://notes.example.com/mcp"

func described(t *testing.T, cfg Config) *Guard {
	t.Helper()
	if cfg.Verifier == nil {
		v, err := NewIntrospection(IntrospectionConfig{Issuer: "https://auth.example.com", ClientID: "notes", ClientSecret: "s"})
		require.NoError(t, err)
		cfg.Verifier = v
	}
	if cfg.Audience == "" {
		cfg.Audience = mcpURL
	}
	g, err := New(cfg)
	require.NoError(t, err)
	return g
}

// metadataOf serves a guard's metadata by net/http and by Gin, and returns the one answer.
func metadataOf(t *testing.T, g *Guard, method string) *httptest.ResponseRecorder {
	t.Helper()
	mux, router := http.NewServeMux(), gin.New()
	mux.Handle(g.MetadataPath(), g.Metadata())
	router.Any(g.MetadataPath(), gin.WrapH(g.Metadata()))
	var seen [2]*httptest.ResponseRecorder
	for i, h := range []http.Handler{mux, router} {
		seen[i] = httptest.NewRecorder()
		h.ServeHTTP(seen[i], httptest.NewRequest(method, g.MetadataPath(), nil))
	}
	require.Equal(t, seen[0].Code, seen[1].Code)
	require.Equal(t, seen[0].Body.String(), seen[1].Body.String())
	require.Equal(t, seen[0].Header(), seen[1].Header())
	return seen[0]
}

func TestMetadata(t *testing.T) {
	t.Run("PR-01 PR-02 PR-03 RFC 9728 §3.1 §3.2 the path of the resource comes last, and every member is as configured", func(t *testing.T) {
		g := described(t, Config{Resource: &Resource{Scopes: []string{"notes:read", "notes:write"}, Name: "Notes", Documentation: "https://notes.example.com/docs",
			Policy: "https://notes.example.com/policy", Terms: "https://notes.example.com/terms", JWKSURI: "https://notes.example.com/jwks"}})
		require.Equal(t, "/.well-known/oauth-protected-resource/mcp", g.MetadataPath())
		w := metadataOf(t, g, http.MethodGet)
		require.Equal(t, 200, w.Code)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.JSONEq(t, `{"resource":"https://notes.example.com/mcp","authorization_servers":["https://auth.example.com"],"scopes_supported":["notes:read","notes:write"],
			"bearer_methods_supported":["header"],"resource_name":"Notes","resource_documentation":"https://notes.example.com/docs",
			"resource_policy_uri":"https://notes.example.com/policy","resource_tos_uri":"https://notes.example.com/terms","jwks_uri":"https://notes.example.com/jwks",
			"dpop_signing_alg_values_supported":["ES256","ES384","EdDSA","Ed25519","PS256","RS256"]}`, w.Body.String())
	})
	t.Run("PR-05 RFC 9728 §3.2 a list without elements is left out", func(t *testing.T) {
		w := metadataOf(t, described(t, Config{Resource: &Resource{Scopes: []string{}}}), http.MethodGet)
		require.JSONEq(t, `{"resource":"https://notes.example.com/mcp","authorization_servers":["https://auth.example.com"],"bearer_methods_supported":["header"],
			"dpop_signing_alg_values_supported":["ES256","ES384","EdDSA","Ed25519","PS256","RS256"]}`, w.Body.String())
	})
	t.Run("PR-03 RFC 6750 §2.2 a form body is said where it is taken", func(t *testing.T) {
		var d struct {
			Methods []string `json:"bearer_methods_supported"`
		}
		w := metadataOf(t, described(t, Config{FormBody: true, Resource: &Resource{}}), http.MethodGet)
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &d))
		require.Equal(t, []string{"header", "body"}, d.Methods)
	})
	t.Run("DP-06 RFC 9728 §2 an API says that it demands bound tokens, and that it takes certificates", func(t *testing.T) {
		w := metadataOf(t, described(t, Config{DPoP: DPoP{Required: true}, Resource: &Resource{}, ClientCertHeader: "Client-Cert", TrustedProxies: []string{"10.0.0.5"}}), http.MethodGet)
		var d map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &d))
		require.Equal(t, true, d["dpop_bound_access_tokens_required"])
		require.Equal(t, true, d["tls_client_certificate_bound_access_tokens"])
	})
	t.Run("web pages of every origin read it, also with headers of their own", func(t *testing.T) {
		g := described(t, Config{Resource: &Resource{}})
		require.Equal(t, "*", metadataOf(t, g, http.MethodGet).Header().Get("Access-Control-Allow-Origin"))
		w := metadataOf(t, g, http.MethodOptions)
		require.Equal(t, 204, w.Code)
		require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
		require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Headers"))
	})
	t.Run("RFC 9728 §3.1 GET only", func(t *testing.T) {
		w := metadataOf(t, described(t, Config{Resource: &Resource{}}), http.MethodPost)
		require.Equal(t, 405, w.Code)
		require.Equal(t, "GET, HEAD, OPTIONS", w.Header().Get("Allow"))
	})
	t.Run("without Resource there is none", func(t *testing.T) {
		g := described(t, Config{})
		require.Empty(t, g.MetadataPath())
		w := httptest.NewRecorder()
		g.Metadata().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, 404, w.Code)
	})
}

func TestMetadataIssuers(t *testing.T) {
	asked, err := NewIntrospection(IntrospectionConfig{Issuer: "https://one.example.com", ClientID: "notes", ClientSecret: "s"})
	require.NoError(t, err)
	alone, err := NewJWT(JWTConfig{Issuer: "https://two.example.com", Audience: mcpURL})
	require.NoError(t, err)
	defer alone.Close()
	for want, cfg := range map[string]Config{
		`["https://one.example.com"]`:                           {Verifier: asked, Resource: &Resource{}},
		`["https://two.example.com"]`:                           {Verifier: alone, Resource: &Resource{}},
		`["https://one.example.com","https://two.example.com"]`: {Verifier: Either(asked, Either(alone, alone)), Resource: &Resource{}},
		`["https://two.example.com","https://one.example.com"]`: {Verifier: HighRisk(alone, asked), Resource: &Resource{}},
		`["https://three.example.com/tenant"]`:                  {Verifier: asked, Resource: &Resource{AuthorizationServers: []string{"https://three.example.com/tenant"}}},
	} {
		t.Run("PR-02 RFC 9728 §2 "+want, func(t *testing.T) {
			require.Contains(t, metadataOf(t, described(t, cfg), http.MethodGet).Body.String(), `"authorization_servers":`+want)
		})
	}
}

func TestMetadataRefused(t *testing.T) {
	known, err := NewIntrospection(IntrospectionConfig{Issuer: "https://auth.example.com", ClientID: "notes", ClientSecret: "s"})
	require.NoError(t, err)
	byURL, err := NewIntrospection(IntrospectionConfig{URL: "https://auth.example.com/introspect", ClientID: "notes", ClientSecret: "s"})
	require.NoError(t, err)
	for says, cfg := range map[string]Config{
		"Resource needs Audience":                          {Verifier: known, Resource: &Resource{}},
		"Resource needs AuthorizationServers":              {Verifier: byURL, Audience: mcpURL, Resource: &Resource{}},
		"with Resource, Audience must be an absolute URL":  {Verifier: known, Audience: "notes", Resource: &Resource{}},
		"with Resource, Audience must begin with https://": {Verifier: known, Audience: "http://notes.example.com", Resource: &Resource{}},
		"authorization_servers":                            {Verifier: known, Audience: mcpURL, Resource: &Resource{AuthorizationServers: []string{"auth.example.com"}}},
		"scopes_supported":                                 {Verifier: known, Audience: mcpURL, Resource: &Resource{Scopes: []string{"a b"}}},
		"resource_documentation":                           {Verifier: known, Audience: mcpURL, Resource: &Resource{Documentation: "javascript:alert(1)"}},
	} {
		t.Run("RFC 9728 §2 "+says, func(t *testing.T) {
			_, err := New(cfg)
			require.ErrorContains(t, err, "middleware: ")
			require.ErrorContains(t, err, says)
		})
	}
}

// TestMetadataInChallenges asks for each kind of challenge (RFC 9728 §5.1).
func TestMetadataInChallenges(t *testing.T) {
	s := serve(t, Config{Verifier: pair{VerifierFunc: table, of: [2]Verifier{}}, Resource: &Resource{AuthorizationServers: []string{"https://auth.example.com"}}})
	where := `resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource"`
	for _, path := range []string{"/any", "/plain/x"} {
		r := do(t, "GET", s.URL+path, "")
		t.Run("PR-04 RFC 9728 §5.1 401 without a token "+path, func(t *testing.T) {
			require.Equal(t, 401, r.StatusCode)
			require.Equal(t, "Bearer "+where, challenge(r))
		})
	}
	for name, c := range map[string]struct {
		path, token, want string
		status            int
	}{
		"401 for a bad token":           {"/any", "none", `error="invalid_token"`, 401},
		"403 with the scope that lacks": {"/write", "read", `error="insufficient_scope", error_description="the token has not the scope that this needs", scope="orders:write"`, 403},
		"401 for another audience":      {"/aud", "read", `error="invalid_token"`, 401},
		"400 for a malformed header":    {"/any", "a b", `error="invalid_request"`, 400},
	} {
		t.Run("PR-04 RFC 9728 §5.1 "+name, func(t *testing.T) {
			r := do(t, "GET", s.URL+c.path, "", "Authorization: Bearer "+c.token)
			require.Equal(t, c.status, r.StatusCode)
			require.Contains(t, challenge(r), c.want)
			require.Contains(t, challenge(r), ", "+where)
		})
	}
	t.Run("PR-04 a demand names the metadata of its own resource", func(t *testing.T) {
		g := described(t, Config{Resource: &Resource{}})
		h, err := g.Protect(http.NotFoundHandler(), Demand{AllOf: []string{"a"}, Resource: "https://other.example.com"})
		require.NoError(t, err)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, `Bearer scope="a", resource_metadata="https://other.example.com/.well-known/oauth-protected-resource"`, w.Header().Get("WWW-Authenticate"))
	})
	t.Run("a demand is refused whose resource is no URL, or has an audience as well", func(t *testing.T) {
		g := described(t, Config{})
		_, err := g.Protect(http.NotFoundHandler(), Demand{Resource: "other"})
		require.ErrorContains(t, err, "must be an absolute URL")
		_, err = g.Protect(http.NotFoundHandler(), Demand{Resource: mcpURL, Audience: mcpURL})
		require.ErrorContains(t, err, "either Audience or Resource")
	})
}
