package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/users"
)

func claimSet(t *testing.T, values map[string]any) claims.Set {
	t.Helper()
	s, err := claims.New(values)
	require.NoError(t, err)
	return s
}

// tiedCatalogue is testCatalogue where orders:write and invoices:read each name claims.
func tiedCatalogue(t *testing.T) *scopes.Catalogue {
	t.Helper()
	c, err := scopes.NewCatalogue(map[string]scopes.Scope{
		"orders:read":   {Resource: ordersResource},
		"orders:write":  {Resource: ordersResource, Implies: []string{"orders:read"}, Claims: []string{"tenant_id"}},
		"invoices:read": {Resource: invoicesResource, Claims: []string{"tenant_id", "vat"}},
		"plain":         {},
	})
	require.NoError(t, err)
	return c
}

// custom are the claims that no standard defines in an introspection answer.
func custom(r reply) map[string]any {
	found := map[string]any{}
	for name, value := range r.json {
		if claims.Reserved(name) == "" {
			found[name] = value
		}
	}
	return found
}

func TestClientClaims(t *testing.T) {
	f, _ := startPeople(t)
	f.clientNamed("app").Claims = claimSet(t, map[string]any{"tenant_id": "t-7", "limits": map[string]any{"seats": 3}})
	want := map[string]any{"tenant_id": "t-7", "limits": map[string]any{"seats": 3.0}}
	token := f.issue(t, "&scope=orders:read")
	t.Run("RFC 7662 §2.2 an introspection answer has them", func(t *testing.T) {
		require.Equal(t, want, custom(f.inspect(t, token)))
	})
	t.Run("the in-process verifier has them", func(t *testing.T) {
		got, err := f.server.Verifier().Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, want, got.Claims)
	})
	t.Run("the introspection verifier has them, and TokenFrom gives each request its own", func(t *testing.T) {
		v, err := middleware.NewIntrospection(middleware.IntrospectionConfig{Issuer: f.URL, ClientID: "gateway", ClientSecret: "rs"})
		require.NoError(t, err)
		guard, err := middleware.New(middleware.Config{Verifier: v})
		require.NoError(t, err)
		h := guard.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			own := middleware.TokenFrom(r.Context()).Claims
			require.Equal(t, want, own)
			own["limits"].(map[string]any)["seats"] = "changed"
		}))
		for range 2 {
			w := &silent{header: http.Header{}}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer "+token)
			h.ServeHTTP(w, r)
		}
	})
	t.Run("a token of a client without claims says nothing more", func(t *testing.T) {
		r := f.post(t, tokP, "stranger:rs", ask)
		require.Empty(t, custom(f.inspect(t, r.text("access_token"))))
	})
	t.Run("a change of the client's claims changes tokens to come alone", func(t *testing.T) {
		f.clientNamed("app").Claims = claims.Set{}
		require.Equal(t, want, custom(f.inspect(t, token)))
		require.Empty(t, custom(f.inspect(t, f.issue(t, "&scope=orders:read"))))
	})
}

func TestJWTClaims(t *testing.T) {
	f, _ := startPeople(t, withKeys(t))
	f.clientNamed("app").Claims = claimSet(t, map[string]any{"tenant_id": "t-7"})
	token := f.issue(t, "&scope=orders:read")
	_, said := parts(t, token)
	require.Equal(t, "t-7", said["tenant_id"], "RFC 9068 §2.2")
	require.Equal(t, map[string]any{"tenant_id": "t-7"}, custom(f.inspect(t, token)))
	t.Run("RFC 9701 §5 a signed introspection answer has them", func(t *testing.T) {
		r := f.post(t, intP, "gateway:rs", "token="+token, "Accept: application/token-introspection+jwt")
		_, answer := parts(t, r.body)
		require.Equal(t, "t-7", answer["token_introspection"].(map[string]any)["tenant_id"])
	})
	t.Run("the JWT verifier has them, and both verifiers together what both say", func(t *testing.T) {
		v, err := middleware.NewJWT(middleware.JWTConfig{Issuer: f.URL, Audience: ordersResource})
		require.NoError(t, err)
		defer v.Close()
		got, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, map[string]any{"tenant_id": "t-7"}, got.Claims)
		asked := middleware.VerifierFunc(func(context.Context, string) (*middleware.Token, error) {
			narrower := *got
			narrower.Claims = map[string]any{"tenant_id": "t-8", "else": 1}
			return &narrower, nil
		})
		both, err := middleware.HighRisk(v, asked).Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, map[string]any{"tenant_id": "t-8"}, both.Claims)
	})
}

func TestUserClaims(t *testing.T) {
	f, p := startPeople(t)
	f.clientNamed("mobile").Claims = claimSet(t, map[string]any{"tenant_id": "t-7", "role": "none"})
	role := func(value string) {
		p.change(t, func(list []users.ConfigUser) { list[0].Claims = claimSet(t, map[string]any{"role": value}) })
	}
	role("reader")
	access, refresh := f.loggedIn(t, "")
	require.Equal(t, map[string]any{"tenant_id": "t-7", "role": "reader"}, custom(f.inspect(t, access)), "the user's claim wins over the client's")
	role("editor")
	require.Equal(t, "reader", f.inspect(t, access).json["role"])
	r := f.refresh(t, refresh)
	require.Equal(t, "editor", f.inspect(t, r.text("access_token")).json["role"], "claims are read anew at each refresh")
	role("owner")
	again := f.refresh(t, refresh)
	require.Equal(t, r.text("access_token"), again.text("access_token"), "a retry gets the same sealed answer")
	require.Equal(t, "editor", f.inspect(t, again.text("access_token")).json["role"])
}

func TestClaimsTiedToScopes(t *testing.T) {
	f, _ := startPeople(t, func(c *Config) { c.Catalogue = tiedCatalogue(t) })
	client := f.clientNamed("app")
	client.Claims = claimSet(t, map[string]any{"tenant_id": "t-7", "vat": "DE1", "plan": "pro"})
	for scope, want := range map[string]map[string]any{
		"plain":                      {"plan": "pro"},
		"orders:read":                {"plan": "pro"},
		"orders:write":               {"plan": "pro", "tenant_id": "t-7"},
		"invoices:read":              {"plan": "pro", "tenant_id": "t-7", "vat": "DE1"},
		"orders:read+invoices:read":  {"plan": "pro", "tenant_id": "t-7", "vat": "DE1"},
		"orders:write+invoices:read": {"plan": "pro", "tenant_id": "t-7", "vat": "DE1"},
	} {
		require.Equal(t, want, custom(f.inspect(t, f.issue(t, "&scope="+scope))), scope)
	}
	token := f.issue(t, "&scope=orders:write+invoices:read")
	client.Scope = rules("orders:*")
	require.Equal(t, map[string]any{"plan": "pro", "tenant_id": "t-7"}, custom(f.inspect(t, token)), "a scope that is taken away takes its claims along")
	client.Scope = rules("orders:read")
	require.Equal(t, map[string]any{"plan": "pro"}, custom(f.inspect(t, token)))
}

// fakeHook answers what a test says.
type fakeHook struct {
	asked  atomic.Int64
	last   atomic.Pointer[claims.Question]
	answer atomic.Pointer[func() (claims.Set, error)]
}

func (h *fakeHook) Claims(_ context.Context, q claims.Question) (claims.Set, error) {
	h.asked.Add(1)
	h.last.Store(&q)
	return (*h.answer.Load())()
}

func (h *fakeHook) says(got claims.Set, err error) {
	f := func() (claims.Set, error) { return got, err }
	h.answer.Store(&f)
}

func TestClaimsHook(t *testing.T) {
	h := &fakeHook{}
	f, p := startPeople(t, func(c *Config) { c.ClaimsHook = h; c.Catalogue = tiedCatalogue(t) })
	p.change(t, func(list []users.ConfigUser) {
		list[0].Claims = claimSet(t, map[string]any{"role": "reader", "tenant_id": "t-1"})
	})
	h.says(claimSet(t, map[string]any{"tenant_id": "t-9", "vat": "DE9"}), nil)

	access, refresh := f.loggedIn(t, "")
	t.Run("the hook wins, and its claims are tied to scopes too", func(t *testing.T) {
		require.Equal(t, map[string]any{"role": "reader", "tenant_id": "t-9"}, custom(f.inspect(t, access)))
		require.Equal(t, claims.Question{ClientID: "mobile", Subject: "u-1", SubjectType: "user", Scope: "orders:read orders:write", Grant: "password"}, *h.last.Load())
	})
	t.Run("it is asked once at issue, login and refresh, and never at introspection", func(t *testing.T) {
		before := h.asked.Load()
		for range 3 {
			f.inspect(t, access)
			_, err := f.server.Verifier().Verify(t.Context(), access)
			require.NoError(t, err)
		}
		require.Equal(t, before, h.asked.Load())
		f.issue(t, "&scope=plain")
		require.Equal(t, before+1, h.asked.Load())
		require.Equal(t, claims.Question{ClientID: "app", Subject: "app", SubjectType: "client", Scope: "plain", Grant: "client_credentials"}, *h.last.Load())
	})
	t.Run("a refused request asks nobody", func(t *testing.T) {
		before := h.asked.Load()
		refused(t, f.post(t, tokP, app, ask+"&scope=nope"), 400, "invalid_scope")
		refused(t, f.post(t, tokP, "app:wrong", ask), 401, "invalid_client")
		refused(t, f.post(t, tokP, "", "grant_type=password&client_id=mobile&username=ada&password=wrong-password"), 400, "invalid_grant")
		require.Equal(t, before, h.asked.Load())
	})
	failures := map[string]struct {
		err    error
		reason string
	}{
		"silent":              {fmt.Errorf("%w: timeout", claims.ErrUnavailable), "claims_hook_unavailable"},
		"of its own kind":     {errors.New("boom"), "claims_hook_unavailable"},
		"with a wrong answer": {fmt.Errorf("%w: claim \"sub\"", claims.ErrAnswer), "claims_invalid"},
	}
	for name, c := range failures {
		t.Run("a hook that is "+name+": 503 with Retry-After, and no token", func(t *testing.T) {
			h.says(claimSet(t, map[string]any{"half": true}), c.err)
			for _, r := range []reply{f.post(t, tokP, app, ask+"&scope=plain"), f.login(t, ""), f.refresh(t, refresh)} {
				refused(t, r, 503, "temporarily_unavailable")
				require.NotEmpty(t, r.header.Get("Retry-After"))
				require.Contains(t, r.text("error_description"), "nothing was done")
				require.NotContains(t, r.body, "boom")
			}
			require.Contains(t, f.log.String(), c.reason)
		})
	}
	t.Run("the session outlives a hook that is silent", func(t *testing.T) {
		h.says(claims.Set{}, nil)
		r := f.refresh(t, refresh)
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, map[string]any{"role": "reader", "tenant_id": "t-1"}, custom(f.inspect(t, r.text("access_token"))))
	})
	t.Run("more than 2 kB together is no token, and the log has the size", func(t *testing.T) {
		h.says(claimSet(t, map[string]any{"a": strings.Repeat("x", 2030)}), nil)
		refused(t, f.login(t, ""), 503, "temporarily_unavailable")
		require.Contains(t, f.log.String(), "of JSON, and a token carries at most 2048")
	})
	t.Run("a hook that gives a registered name past its own check is refused", func(t *testing.T) {
		var forged claims.Set
		require.NoError(t, json.Unmarshal([]byte(`{"sub":"u-2"}`), &forged))
		h.says(forged, nil)
		refused(t, f.login(t, ""), 503, "temporarily_unavailable")
	})
}

func TestHookAndOperator(t *testing.T) {
	h := &fakeHook{}
	h.says(claims.Set{}, claims.ErrUnavailable)
	f := start(t, func(c *Config) { c.ClaimsHook = h })
	f.clientNamed("app").Scope, f.clientNamed("app").Claims = rules("grantor:admin"), claimSet(t, map[string]any{"tenant_id": "t-7"})
	f.reload(t)
	token := f.issue(t, "&scope=grantor:admin")
	require.Zero(t, h.asked.Load(), "an operator gets a token for Grantor while the hook is broken")
	require.Empty(t, custom(f.inspect(t, token)))
}
