package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/grantortest"
)

const audience = "https://orders.example.com"

func TestOrders(t *testing.T) {
	srv := grantortest.New(t, grantortest.Options{Audience: audience})
	t.Setenv("GRANTOR_CLIENT_ID", srv.API.ID)
	t.Setenv("GRANTOR_CLIENT_SECRET", srv.API.Secret)
	api, err := newAPI(srv.Issuer, audience)
	require.NoError(t, err)
	ask := func(method, token string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/orders", nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
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
