package grantortest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/grantortest"
	"github.com/grantor-auth/grantor/middleware"
)

// sent is the status of an API for a request that change completes.
func sent(api http.Handler, change func(*http.Request)) int {
	r := httptest.NewRequest(http.MethodGet, audience+"/orders?page=1", nil)
	change(r)
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	return w.Code
}

func TestKey(t *testing.T) {
	for name, configure := range map[string]func(*config.Config){
		"as ever":                    func(*config.Config) {},
		"the server demands a nonce": func(c *config.Config) { c.DPoP.Nonce = "required" },
	} {
		t.Run(name, func(t *testing.T) {
			testKey(t, grantortest.New(t, grantortest.Options{Audience: audience, Configure: configure}))
		})
	}
}

func testKey(t *testing.T, srv *grantortest.Server) {
	t.Helper()
	api := orders(t, middleware.Config{Verifier: verifiers(t, srv, false)["introspection"], Audience: audience, Now: srv.Now})
	key, thief := srv.Key(), srv.Key()
	require.NotEqual(t, key.Thumbprint(), thief.Thumbprint())
	for kind, want := range map[string]grantortest.Want{
		"a machine's":        {Scopes: []string{"orders:read"}, Key: key},
		"a machine's JWT":    {Scopes: []string{"orders:read"}, Key: key, JWT: true},
		"a user's":           {Scopes: []string{"orders:read"}, Key: key, Subject: "u-1"},
		"a client of a test": {Scopes: []string{"orders:read"}, Key: key, Client: "till"},
	} {
		t.Run("DP-04 DP-05 "+kind, func(t *testing.T) {
			issued := srv.Issue(want)
			require.Equal(t, "DPoP", issued.TokenType)
			token := issued.AccessToken
			require.Equal(t, 200, sent(api, func(r *http.Request) { key.Authorize(r, token) }))
			require.Equal(t, 401, sent(api, func(r *http.Request) { thief.Authorize(r, token) }))
			require.Equal(t, 401, sent(api, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }))
			require.Equal(t, 401, sent(api, func(r *http.Request) { key.Authorize(r, token, map[string]any{"htm": "POST"}) }))
			require.Equal(t, 401, sent(api, func(r *http.Request) { key.Authorize(r, token, map[string]any{"jti": nil}) }))
		})
	}
	t.Run("proofs have the server's time", func(t *testing.T) {
		srv.Advance(time.Hour)
		token := srv.Issue(grantortest.Want{Scopes: []string{"orders:read"}, Key: key}).AccessToken
		require.Equal(t, 200, sent(api, func(r *http.Request) { key.Authorize(r, token) }))
		require.Equal(t, 401, sent(api, func(r *http.Request) {
			key.Authorize(r, token, map[string]any{"iat": srv.Now().Add(-5 * time.Minute).Unix()})
		}))
	})
	t.Run("a token without a key is a bearer token", func(t *testing.T) {
		require.Equal(t, "Bearer", srv.Issue(grantortest.Want{Scopes: []string{"orders:read"}}).TokenType)
	})
}
