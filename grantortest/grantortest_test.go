package grantortest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/grantortest"
	"github.com/grantor-auth/grantor/middleware"
)

// orders is an API behind a verifier, as a program under test is.
func orders(t *testing.T, cfg middleware.Config) http.Handler {
	t.Helper()
	guard, err := middleware.New(cfg)
	require.NoError(t, err)
	g := gin.New()
	g.GET("/orders", guard.Authenticate(), guard.RequireAll("orders:read"), func(c *gin.Context) {
		c.String(http.StatusOK, middleware.TokenFrom(c.Request.Context()).Subject)
	})
	return g
}

func overHTTP(t *testing.T, srv *grantortest.Server) http.Handler {
	t.Helper()
	v, err := middleware.NewIntrospection(middleware.IntrospectionConfig{
		Issuer: srv.Issuer, ClientID: srv.API.ID, ClientSecret: srv.API.Secret})
	require.NoError(t, err)
	return orders(t, middleware.Config{Verifier: v, Now: srv.Now})
}

func guardOf(srv *grantortest.Server) middleware.Config {
	return middleware.Config{Verifier: srv.Verifier(), Now: srv.Now}
}

func ask(api http.Handler, token string) (status int, body string) {
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func status(api http.Handler, token string) int {
	code, _ := ask(api, token)
	return code
}

func TestTokens(t *testing.T) {
	srv := grantortest.New(t)
	for name, api := range map[string]http.Handler{
		"over HTTP":       overHTTP(t, srv),
		"in this process": orders(t, middleware.Config{Verifier: srv.Verifier(), Now: srv.Now}),
	} {
		t.Run(name, func(t *testing.T) {
			code, sub := ask(api, srv.Token("orders:read"))
			require.Equal(t, 200, code)
			require.Equal(t, "grantortest-machine", sub)
			require.Equal(t, 403, status(api, srv.Token("orders:write")))
			require.Equal(t, 200, status(api, srv.JWT("orders:read")))
			code, sub = ask(api, srv.UserToken("u-1", "orders:read"))
			require.Equal(t, 200, code)
			require.Equal(t, "u-1", sub)
			require.Equal(t, 401, status(api, "gat_nonsense"))
			revoked, other := srv.Token("orders:read"), srv.Token("orders:read")
			srv.Revoke(revoked)
			require.Equal(t, 401, status(api, revoked))
			require.Equal(t, 200, status(api, other))
			expired := srv.UserToken("u-1", "orders:read")
			srv.Expire(expired)
			require.Equal(t, 401, status(api, expired))
			srv.Fail(503)
			require.Equal(t, 503, status(api, other))
			srv.Recover()
			require.Equal(t, 200, status(api, other))
		})
	}
}

func TestAdvance(t *testing.T) {
	srv := grantortest.New(t, grantortest.Options{Audience: "https://orders.example.com"})
	jwts, err := middleware.NewJWT(middleware.JWTConfig{Issuer: srv.Issuer, Audience: "https://orders.example.com", Now: srv.Now})
	require.NoError(t, err)
	t.Cleanup(jwts.Close)
	local := orders(t, middleware.Config{Verifier: jwts, Now: srv.Now, Audience: "https://orders.example.com"})
	api := overHTTP(t, srv)
	opaque, signed, login := srv.Token("orders:read"), srv.JWT("orders:read"), srv.Login("u-1", "orders:read")
	require.Equal(t, 200, status(local, signed))
	srv.Advance(14 * time.Minute)
	for _, token := range []string{opaque, signed, login.AccessToken} {
		require.Equal(t, 200, status(api, token))
	}
	srv.Advance(2 * time.Minute)
	for _, token := range []string{opaque, signed, login.AccessToken} {
		require.Equal(t, 401, status(api, token), "the lifetime is 15 minutes")
	}
	require.Equal(t, 401, status(local, signed))
	require.Equal(t, 200, status(local, srv.JWT("orders:read")), "the keys keep up with the clock")
	require.Equal(t, 200, status(api, srv.Token("orders:read")))
	refreshed, code := refresh(t, srv, login.RefreshToken)
	require.Equal(t, 200, code)
	require.Equal(t, 200, status(api, refreshed.AccessToken))
	srv.Advance(31 * 24 * time.Hour)
	_, code = refresh(t, srv, refreshed.RefreshToken)
	require.Equal(t, 400, code, "an idle session ends after 30 days")
	require.Equal(t, 200, status(local, srv.JWT("orders:read")))
	require.Equal(t, 200, status(api, srv.UserToken("u-1", "orders:read")))
}

func TestLockoutFollowsTheClock(t *testing.T) {
	srv := grantortest.New(t)
	srv.AddUser("u-1", "ada", "right horse battery", "orders:read")
	try := func(password string) int { return login(t, srv, "ada", password) }
	require.Equal(t, 200, try("right horse battery"))
	for range 6 {
		require.Equal(t, 400, try("wrong"))
	}
	require.Equal(t, 400, try("right horse battery"), "locked out")
	srv.Advance(16 * time.Minute)
	require.Equal(t, 200, try("right horse battery"))
	srv.RemoveUser("u-1")
	require.Equal(t, 400, try("right horse battery"))
}

func TestCatalogue(t *testing.T) {
	srv := grantortest.New(t, grantortest.Options{
		Scopes: map[string]config.ScopeEntry{
			"orders:read":  {Resource: "https://orders.example.com"},
			"orders:write": {Resource: "https://orders.example.com", Implies: []string{"orders:read"}},
		},
		Configure: func(c *config.Config) { c.Tokens.AccessTTL = time.Minute },
	})
	api := orders(t, middleware.Config{Verifier: srv.Verifier(), Now: srv.Now, Audience: "https://orders.example.com"})
	token := srv.Token("orders:write")
	require.Equal(t, 200, status(api, token), "orders:write implies orders:read")
	srv.Advance(61 * time.Second)
	require.Equal(t, 401, status(api, token))
}

func TestIssue(t *testing.T) {
	srv := grantortest.New(t)
	issued := srv.Issue(grantortest.Want{Scopes: []string{"orders:read"}, Subject: "u-1", Client: "till", Lifetime: time.Minute,
		Audience: []string{"https://orders.example.com"}, JWT: true})
	require.Equal(t, 60, issued.ExpiresIn)
	token, err := srv.Verifier().Verify(t.Context(), issued.AccessToken)
	require.NoError(t, err)
	require.Equal(t, "u-1", token.Subject)
	require.Equal(t, "till", token.ClientID)
	require.Equal(t, []string{"https://orders.example.com"}, token.Audience)
	srv.Revoke(issued.RefreshToken)
	require.Equal(t, 401, status(overHTTP(t, srv), issued.AccessToken), "RFC 7009 §2.1 the session has ended")
}

func TestFailNext(t *testing.T) {
	srv := grantortest.New(t)
	api, token := overHTTP(t, srv), srv.Token("orders:read")
	require.Equal(t, 200, status(api, token))
	srv.FailNext(1, 503)
	require.Equal(t, 503, status(api, token))
	require.Equal(t, 200, status(api, token))
}
