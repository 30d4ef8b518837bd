package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
)

// resourceSpellings are ways to write ordersResource.
func resourceSpellings() []string {
	return []string{"https://orders.example.com/", "https://ORDERS.example.com", "HTTPS://orders.example.com:443/", "https://orders.example.com/%61/.."}
}

func TestResourceSpellings(t *testing.T) {
	f, _ := startPeople(t)
	f.clientNamed("orders-api").Resource = "https://Orders.example.com:443/"
	both := ask + "&scope=orders:read+invoices:read+plain"
	for _, spelled := range resourceSpellings() {
		t.Run("RI-07 RFC 3986 §6.2.2 §6.2.3 however it is asked for, aud is as configured: "+spelled, func(t *testing.T) {
			r := f.post(t, tokP, app, both+"&resource="+url.QueryEscape(spelled))
			require.Equal(t, 200, r.status, r.body)
			require.Equal(t, "orders:read", r.text("scope"))
			require.Equal(t, []any{ordersResource}, f.inspect(t, r.text("access_token")).json["aud"])
		})
		t.Run("RI-07 RI-05 RFC 8707 §2.2 a refresh names what the login was granted: "+spelled, func(t *testing.T) {
			_, r0 := f.loggedIn(t, "&scope=orders:read+invoices:read&resource="+url.QueryEscape(spelled))
			r := f.refresh(t, r0, "&resource="+ordersResource)
			require.Equal(t, 200, r.status, r.body)
			r = f.refresh(t, r.text("refresh_token"), "&resource="+url.QueryEscape(spelled))
			require.Equal(t, []any{ordersResource}, f.inspect(t, r.text("access_token")).json["aud"])
			refused(t, f.refresh(t, r.text("refresh_token"), "&resource="+invoicesResource), 400, codeInvalidTarget)
		})
		t.Run("RI-07 the middleware knows its audience: "+spelled, func(t *testing.T) {
			guard, err := middleware.New(middleware.Config{Verifier: f.server.Verifier(), Audience: spelled})
			require.NoError(t, err)
			api := guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			for scope, want := range map[string]int{"orders:read": 200, "invoices:read": 401} {
				req := httptest.NewRequest(http.MethodGet, "/", nil)
				req.Header.Set("Authorization", "Bearer "+f.issue(t, "&scope="+scope))
				w := httptest.NewRecorder()
				api.ServeHTTP(w, req)
				require.Equal(t, want, w.Code)
			}
		})
	}
	t.Run("RI-07 IN-23 an API sees its tokens however its resource is spelled", func(t *testing.T) {
		require.Equal(t, true, f.post(t, intP, "orders-api:rs", "token="+f.issue(t, "&scope=orders:read")).json["active"])
		require.Equal(t, dead, f.post(t, intP, "orders-api:rs", "token="+f.issue(t, "&scope=invoices:read")).body)
	})
	t.Run("RI-07 RI-02 what only looks alike is another resource", func(t *testing.T) {
		for _, r := range []string{"http://orders.example.com", "https://orders.example.com/v1", "https://orders.example.com:8443", "https://orders.example.com.evil.example"} {
			refused(t, f.post(t, tokP, app, both+"&resource="+url.QueryEscape(r)), 400, codeInvalidTarget)
		}
	})
	t.Run("RI-07 RI-01 RFC 8707 §2 a fragment is refused in every spelling", func(t *testing.T) {
		for _, r := range []string{"https://orders.example.com/#", "https://orders.example.com#x", "HTTPS://orders.example.com:443/#/"} {
			refused(t, f.post(t, tokP, app, both+"&resource="+url.QueryEscape(r)), 400, codeInvalidTarget)
		}
	})
	t.Run("RI-07 one resource of scope and client is in aud once", func(t *testing.T) {
		c := &clients.Client{Registration: clients.Registration{Audience: []string{"https://orders.example.com/", "https://else.example"}}}
		_, aud, err := f.server.narrowToResources(c, scopes.MustParse("orders:read plain"), nil)
		require.NoError(t, err)
		require.Equal(t, []string{"https://else.example", ordersResource}, aud)
	})
}

// startNamed serves the audience rabbitmq, which is no URI, and scopes with a * in their names.
func startNamed(t *testing.T) *fixture {
	t.Helper()
	catalogue, err := scopes.NewCatalogue(map[string]scopes.Scope{
		"rabbitmq.read:*/*": {Resource: "rabbitmq"}, "rabbitmq.read:a/b": {Resource: "rabbitmq"}, "rabbitmq.write:*/*": {Resource: "rabbitmq"},
		"system/*.read": {Resource: ordersResource}, "system/a.read": {Resource: ordersResource},
	}, "rabbitmq")
	require.NoError(t, err)
	f, _ := startPeople(t, withKeys(t), func(c *Config) { c.Catalogue = catalogue })
	machine := []string{clients.GrantClientCredentials}
	for _, c := range []*clients.Client{
		{Registration: clients.Registration{ID: "literal", Secrets: secrets("s"), Grants: machine}, Scope: rules("rabbitmq.read:*/* system/*.read")},
		{Registration: clients.Registration{ID: "wild", Secrets: secrets("s"), Grants: machine}, Scope: rules("rabbitmq.read:*")},
		{Registration: clients.Registration{ID: "broker", Secrets: secrets("s"), Resource: "rabbitmq", Introspect: clients.SightAudience}},
	} {
		require.NoError(t, c.Check(catalogue))
		f.clients = append(f.clients, c)
	}
	return f
}

func TestStarsInScopes(t *testing.T) {
	f := startNamed(t)
	scope := func(basic, text string) reply { return f.post(t, tokP, basic, ask+"&scope="+url.QueryEscape(text)) }
	t.Run("SC-09 RFC 6749 §3.3 a scope with a * is granted as it is, and by introspection and JWT", func(t *testing.T) {
		r := scope("literal:s", "rabbitmq.read:*/* system/*.read")
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, "rabbitmq.read:*/* system/*.read", f.inspect(t, r.text("access_token")).text("scope"))
		_, claims := parts(t, r.text("access_token"))
		require.Equal(t, "rabbitmq.read:*/* system/*.read", claims["scope"])
	})
	t.Run("SC-09 SC-05 the * of a name allows nothing else", func(t *testing.T) {
		for _, text := range []string{"rabbitmq.read:a/b", "system/a.read", "rabbitmq.write:*/*"} {
			refused(t, scope("literal:s", text), 400, codeInvalidScope)
		}
	})
	t.Run("SC-09 a wildcard allows what continues after its colon", func(t *testing.T) {
		require.Equal(t, 200, scope("wild:s", "rabbitmq.read:*/*").status)
		require.Equal(t, 200, scope("wild:s", "rabbitmq.read:a/b").status)
		refused(t, scope("wild:s", "rabbitmq.write:*/*"), 400, codeInvalidScope)
	})
	t.Run("SC-09 a wildcard is never asked for, and the refusal names it", func(t *testing.T) {
		r := scope("wild:s", "rabbitmq.read:*")
		refused(t, r, 400, codeInvalidScope)
		require.Contains(t, r.text("error_description"), "rabbitmq.read:*")
	})
	t.Run("SC-09 BR-22 a token's * does not satisfy another scope", func(t *testing.T) {
		guard, err := middleware.New(middleware.Config{Verifier: f.server.Verifier(), Catalogue: f.server.cfg.Catalogue})
		require.NoError(t, err)
		token := scope("literal:s", "system/*.read").text("access_token")
		for want, status := range map[string]int{"system/*.read": 200, "system/a.read": 403} {
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			req.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), want).ServeHTTP(w, req)
			require.Equal(t, status, w.Code, want)
		}
	})
}

func TestAudienceNames(t *testing.T) {
	f := startNamed(t)
	token := f.post(t, tokP, "literal:s", ask+"&scope=rabbitmq.read:*/*").text("access_token")
	t.Run("RI-08 RFC 7519 §4.1.3 aud is the name", func(t *testing.T) {
		_, claims := parts(t, token)
		require.Equal(t, "rabbitmq", claims["aud"])
		require.Equal(t, []any{"rabbitmq"}, f.inspect(t, token).json["aud"])
		require.Equal(t, true, f.post(t, intP, "broker:s", "token="+token).json["active"])
		require.Equal(t, dead, f.post(t, intP, "orders-api:rs", "token="+token).body)
	})
	t.Run("RI-08 RI-01 RFC 8707 §2 the parameter resource stays a URI", func(t *testing.T) {
		r := f.post(t, tokP, "literal:s", ask+"&scope=rabbitmq.read:*/*&resource=rabbitmq")
		refused(t, r, 400, codeInvalidTarget)
		require.Contains(t, r.text("error_description"), "absolute URI")
	})
	t.Run("RI-08 a client cannot be given a name without permission", func(t *testing.T) {
		for _, c := range []*clients.Client{
			{Registration: clients.Registration{ID: "c", Secrets: secrets("s"), Resource: "RabbitMQ"}},
			{Registration: clients.Registration{ID: "c", Secrets: secrets("s"), Audience: []string{"kafka"}}},
		} {
			require.ErrorContains(t, c.Check(f.server.cfg.Catalogue), "audience_names")
		}
	})
}
