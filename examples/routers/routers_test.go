package routers_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/examples/routers"
	"github.com/grantor-auth/grantor/grantortest"
	"github.com/grantor-auth/grantor/middleware"
)

func TestRouters(t *testing.T) {
	srv := grantortest.New(t, grantortest.Options{Audience: "https://orders.example.com"})
	verifier, err := middleware.NewIntrospection(middleware.IntrospectionConfig{
		Issuer: srv.Issuer, ClientID: srv.API.ID, ClientSecret: srv.API.Secret})
	require.NoError(t, err)
	guard, err := middleware.New(middleware.Config{Verifier: verifier, Audience: "https://orders.example.com"})
	require.NoError(t, err)
	for name, router := range map[string]func(*middleware.Guard) http.Handler{
		"net/http": routers.NetHTTP, "chi": routers.Chi, "echo": routers.Echo,
	} {
		t.Run(name, func(t *testing.T) {
			api := router(guard)
			ask := func(method, token string) *httptest.ResponseRecorder {
				r := httptest.NewRequest(method, "/orders", nil)
				if token != "" {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				w := httptest.NewRecorder()
				api.ServeHTTP(w, r)
				return w
			}
			require.Contains(t, ask("GET", srv.UserToken("u-1", "orders:read")).Body.String(), `"for":"u-1"`)
			require.Equal(t, 201, ask("POST", srv.Token("orders:write")).Code)
			refused := ask("GET", srv.Token("orders:write"))
			require.Equal(t, 403, refused.Code)
			require.Contains(t, refused.Header().Get("WWW-Authenticate"), `error="insufficient_scope"`)
			require.Equal(t, 403, ask("POST", srv.Token("orders:read")).Code)
			require.Equal(t, 401, ask("GET", "").Code)
			srv.FailNext(1, 503)
			require.Equal(t, 503, ask("GET", srv.Token("orders:read")).Code)
		})
	}
}
