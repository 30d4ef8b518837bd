package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/grantortest"
)

const audience = "https://orders.example.com"

func TestOrders(t *testing.T) {
	srv := grantortest.New(t, grantortest.Options{Audience: audience})
	t.Setenv("GRANTOR_CLIENT_ID", srv.API.ID)
	t.Setenv("GRANTOR_CLIENT_SECRET", srv.API.Secret)
	api, err := newAPI(srv.Issuer, audience, false)
	require.NoError(t, err)
	ask := func(method, token string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/orders", nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		api.routes.ServeHTTP(w, r)
		return w
	}

	t.Run("who reads needs orders:read", func(t *testing.T) {
		require.Equal(t, http.StatusOK, ask(http.MethodGet, srv.Token("orders:read")).Code)
		require.Equal(t, http.StatusForbidden, ask(http.MethodGet, srv.Token("orders:write")).Code)
		require.Equal(t, http.StatusUnauthorized, ask(http.MethodGet, "").Code)
	})
	t.Run("the API sees which user asks", func(t *testing.T) {
		require.Contains(t, ask(http.MethodGet, srv.UserToken("u-1", "orders:read")).Body.String(), `"for":"u-1"`)
	})
	t.Run("a token that was revoked or has expired is refused", func(t *testing.T) {
		revoked, expired := srv.Token("orders:write"), srv.Token("orders:write")
		require.Equal(t, http.StatusCreated, ask(http.MethodPost, revoked).Code)
		srv.Revoke(revoked)
		srv.Expire(expired)
		require.Equal(t, http.StatusUnauthorized, ask(http.MethodPost, revoked).Code)
		require.Equal(t, http.StatusUnauthorized, ask(http.MethodPost, expired).Code)
	})
	t.Run("the API answers 503 while the token server fails", func(t *testing.T) {
		token := srv.Token("orders:read")
		srv.Fail(http.StatusInternalServerError)
		require.Equal(t, http.StatusServiceUnavailable, ask(http.MethodGet, token).Code)
		srv.Recover()
		require.Equal(t, http.StatusOK, ask(http.MethodGet, token).Code)
	})
}

func TestOrdersLive(t *testing.T) {
	srv := grantortest.New(t, grantortest.Options{Audience: audience})
	t.Setenv("GRANTOR_CLIENT_ID", srv.API.ID)
	t.Setenv("GRANTOR_CLIENT_SECRET", srv.API.Secret)
	api, err := newAPI(srv.Issuer, audience, true)
	require.NoError(t, err)
	t.Cleanup(api.Close)
	token := srv.Token("orders:read")
	ask := func() int {
		r := httptest.NewRequest(http.MethodGet, "/orders", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		api.routes.ServeHTTP(w, r)
		return w.Code
	}
	fresh := func() bool { return ask() == http.StatusOK && api.follow.Stats().Hits > 0 }
	require.Eventually(t, fresh, 10*time.Second, time.Millisecond, "the API answers from memory: %+v", ask())
	srv.Revoke(token)
	time.Sleep(time.Second) // the lease: from here on no request passes
	require.Equal(t, http.StatusUnauthorized, ask())
}
