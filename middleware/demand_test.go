package middleware

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/scopes"
)

func TestProtect(t *testing.T) {
	verifier := VerifierFunc(func(_ context.Context, text string) (*Token, error) {
		if text != "good" {
			return nil, ErrInvalidToken
		}
		return &Token{Subject: "u-1", Scope: scopes.MustParse("a b"), Audience: []string{"https://one.example"}}, nil
	})
	guard, err := New(Config{Verifier: verifier, Realm: "orders"})
	require.NoError(t, err)
	ask := func(d Demand, authorization string) *httptest.ResponseRecorder {
		h, err := guard.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(TokenFrom(r.Context()).Subject))
		}), d)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for name, c := range map[string]struct {
		demand        Demand
		authorization string
		status        int
		challenge     string
	}{
		"§3 no token: a challenge without an error, with the scopes": {Demand{AllOf: []string{"a"}, AnyOf: []string{"c"}}, "", 401, `Bearer realm="orders", scope="a c"`},
		"§3.1 a bad token":                                 {Demand{AllOf: []string{"a"}}, "Bearer bad", 401, `Bearer realm="orders", error="invalid_token", error_description="the token is unknown, expired or revoked", scope="a"`},
		"§3.1 a header that is none":                       {Demand{AllOf: []string{"a"}}, "Bearer a b", 400, `Bearer realm="orders", error="invalid_request", error_description="the Authorization header must be: Bearer, one space, the token (RFC 6750 2.1)"`},
		"§3.1 one scope of all is missing":                 {Demand{AllOf: []string{"a", "c"}}, "Bearer good", 403, `Bearer realm="orders", error="insufficient_scope", error_description="the token has not the scope that this needs", scope="a c"`},
		"§3.1 none of any":                                 {Demand{AnyOf: []string{"c", "d"}}, "Bearer good", 403, `Bearer realm="orders", error="insufficient_scope", error_description="the token has not the scope that this needs", scope="c d"`},
		"§3.1 all, and none of any":                        {Demand{AllOf: []string{"a"}, AnyOf: []string{"c"}}, "Bearer good", 403, `Bearer realm="orders", error="insufficient_scope", error_description="the token has not the scope that this needs", scope="a c"`},
		"RFC 9068 §4 another audience":                     {Demand{Audience: "https://two.example"}, "Bearer good", 401, `Bearer realm="orders", error="invalid_token", error_description="the token is meant for another resource"`},
		"all of the scopes":                                {Demand{AllOf: []string{"b", "a"}}, "Bearer good", 200, ""},
		"one of any":                                       {Demand{AnyOf: []string{"c", "b"}}, "Bearer good", 200, ""},
		"all, any and the audience":                        {Demand{AllOf: []string{"a"}, AnyOf: []string{"c", "b"}, Audience: "https://one.example"}, "Bearer good", 200, ""},
		"an empty demand takes every good token":           {Demand{}, "Bearer good", 200, ""},
		"an empty demand refuses a token that is not good": {Demand{}, "Bearer bad", 401, `Bearer realm="orders", error="invalid_token", error_description="the token is unknown, expired or revoked"`},
	} {
		t.Run("RFC 6750 "+name, func(t *testing.T) {
			w := ask(c.demand, c.authorization)
			require.Equal(t, c.status, w.Code)
			require.Equal(t, c.challenge, w.Header().Get("WWW-Authenticate"))
			if c.status == 200 {
				require.Equal(t, "u-1", w.Body.String())
				require.Equal(t, "private", w.Header().Get("Cache-Control"))
			}
		})
	}
	t.Run("RFC 6749 §3.3 a wrong scope is an error, not a panic", func(t *testing.T) {
		for _, d := range []Demand{{AllOf: []string{"a b"}}, {AnyOf: []string{`"`}}, {AllOf: []string{""}}} {
			h, err := guard.Protect(http.NotFoundHandler(), d)
			require.Error(t, err)
			require.Nil(t, h)
		}
	})
}
