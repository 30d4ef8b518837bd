package server

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
)

// TestOperatorAPI: who calls it in this process must say which person asks.
func TestOperatorAPI(t *testing.T) {
	f := start(t, func(c *Config) { c.Manager = &clients.Manager{} })
	ask := func(r *http.Request) int {
		w := httptest.NewRecorder()
		f.server.OperatorAPI().ServeHTTP(w, r)
		return w.Code
	}
	r := httptest.NewRequest(http.MethodGet, "/admin/v1/signing-keys", nil)
	require.Equal(t, http.StatusUnauthorized, ask(r))
	r.Header.Set("Authorization", "Bearer x")
	require.Equal(t, http.StatusUnauthorized, ask(r), "no header is believed")
	require.Equal(t, http.StatusUnauthorized, ask(r.WithContext(WithOperator(r.Context(), ""))))
	require.Equal(t, http.StatusConflict, ask(r.WithContext(WithOperator(r.Context(), "console (ada)"))), "it was let in, and there are no keys")
	require.Equal(t, http.StatusNotFound, ask(httptest.NewRequest(http.MethodGet, "/oauth2/register", nil).WithContext(WithOperator(r.Context(), "x"))))
}
