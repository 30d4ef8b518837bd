package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/grantortest"
)

func TestBoundTokens(t *testing.T) {
	srv := grantortest.New(t, grantortest.Options{Audience: audience})
	t.Setenv("GRANTOR_CLIENT_ID", srv.API.ID)
	t.Setenv("GRANTOR_CLIENT_SECRET", srv.API.Secret)
	api, err := newAPI(srv.Issuer, audience, false)
	require.NoError(t, err)
	ask := func(authorize func(*http.Request)) int {
		r := httptest.NewRequest(http.MethodGet, audience+"/orders", nil)
		authorize(r)
		w := httptest.NewRecorder()
		api.routes.ServeHTTP(w, r)
		return w.Code
	}

	key, thief := srv.Key(), srv.Key()
	token := srv.Issue(grantortest.Want{Scopes: []string{"orders:read"}, Key: key}).AccessToken
	t.Run("the owner of the key passes", func(t *testing.T) {
		require.Equal(t, http.StatusOK, ask(func(r *http.Request) { key.Authorize(r, token) }))
	})
	t.Run("DP-04 DP-05 S-73 whoever stole the token does not", func(t *testing.T) {
		require.Equal(t, http.StatusUnauthorized, ask(func(r *http.Request) { thief.Authorize(r, token) }))
		require.Equal(t, http.StatusUnauthorized, ask(func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }))
	})
}
