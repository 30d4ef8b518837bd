package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/grantor-auth/grantor/grantortest"
)

func TestOrders(t *testing.T) {
	srv := grantortest.New(t, grantortest.Options{Audience: audience})
	api, err := newAPI(srv.Issuer, srv.API.ID, srv.API.Secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token string
		want  int
	}{
		"a scope that the route needs": {srv.Token("orders:read"), http.StatusOK},
		"another scope":                {srv.Token("orders:write"), http.StatusForbidden},
		"a user":                       {srv.UserToken("u-1", "orders:read"), http.StatusOK},
		"no good token":                {"gat_nonsense", http.StatusUnauthorized},
	} {
		r := httptest.NewRequest(http.MethodGet, "/orders", nil)
		r.Header.Set("Authorization", "Bearer "+c.token)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d, not %d", name, w.Code, c.want)
		}
	}
}
