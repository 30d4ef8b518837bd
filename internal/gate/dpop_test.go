package gate

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/dpop/dpoptest"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
)

// boundTokens knows one token more, which is bound to a key.
func boundTokens(k *dpoptest.Key) middleware.VerifierFunc {
	return func(ctx context.Context, text string) (*middleware.Token, error) {
		if text != "bound" {
			return tokens(ctx, text)
		}
		return middleware.FromHolder(ctx, &middleware.Token{Subject: "m", ClientID: "m", Scope: scopes.MustParse("orders:read"), Audience: []string{orders},
			ExpiresAt: time.Now().Add(time.Minute), Confirmation: middleware.Confirmation{KeyThumbprint: k.Thumbprint()}})
	}
}

func TestDPoP(t *testing.T) {
	k := dpoptest.New(t)
	proof := func(method, htu string) string { return "DPoP: " + k.Proof(method, htu, dpoptest.With("bound")) }
	const (
		bound    = "Authorization: DPoP bound"
		query    = "/verify?scope=orders:read&audience=" + orders
		asPath   = "/verify/scope=orders:read&audience=https:%2F%2Forders.example.com"
		original = RequestOriginal
	)
	for _, row := range []struct {
		name           string
		dpop           DPoP
		method, target string
		headers        []string
		want           int
	}{
		{"nginx, HAProxy, Apache", DPoP{Request: original}, "GET", query, []string{"X-Original-Method: POST", "X-Original-URI: /orders/1?a=b", proof("POST", orders+"/orders/1")}, 200},
		{"Traefik, Caddy", DPoP{Request: RequestForwarded}, "GET", query, []string{"X-Forwarded-Method: PUT", "X-Forwarded-Uri: /orders/%7Eu?a=%20", proof("PUT", orders+"/orders/~u")}, 200},
		{"Envoy", DPoP{Request: RequestPath}, "DELETE", asPath + "/orders/%C3%A9?scope=x", []string{proof("DELETE", orders+"/orders/%c3%a9")}, 200},
		{"Envoy, the root", DPoP{Request: RequestPath}, "GET", asPath + "/", []string{proof("GET", orders+"/")}, 200},
		{"another public URL", DPoP{Request: original, URL: "https://public.example.com/v1/"}, "GET", query, []string{"X-Original-Method: GET", "X-Original-URI: /orders", proof("GET", "https://public.example.com/v1/orders")}, 200},
		{"a proof for another path", DPoP{Request: original}, "GET", query, []string{"X-Original-Method: GET", "X-Original-URI: /orders", proof("GET", orders+"/other")}, 401},
		{"a proof for another method", DPoP{Request: original}, "GET", query, []string{"X-Original-Method: POST", "X-Original-URI: /orders", proof("GET", orders+"/orders")}, 401},
		{"a proof for the check itself", DPoP{Request: original}, "GET", query, []string{"X-Original-Method: GET", "X-Original-URI: /orders", proof("GET", orders+"/verify")}, 401},
		{"the client names the target in a header that the proxy does not set", DPoP{Request: original}, "GET", query, []string{"X-Forwarded-Method: GET", "X-Forwarded-Uri: /orders", proof("GET", orders+"/orders")}, 401},
		{"the client adds a second target", DPoP{Request: original}, "GET", query, []string{"X-Original-Method: GET", "X-Original-URI: /orders", "X-Original-URI: /x", proof("GET", orders+"/orders")}, 401},
		{"the client adds a second method", DPoP{Request: original}, "GET", query, []string{"X-Original-Method: GET", "X-Original-Method: GET", "X-Original-URI: /orders", proof("GET", orders+"/orders")}, 401},
		{"a demand without audience, and no URL", DPoP{Request: original}, "GET", "/verify?scope=orders:read", []string{"X-Original-Method: GET", "X-Original-URI: /orders", proof("GET", orders+"/orders")}, 401},
		{"two proofs", DPoP{Request: original}, "GET", query, []string{"X-Original-Method: GET", "X-Original-URI: /orders", proof("GET", orders+"/orders"), proof("GET", orders+"/orders")}, 401},
		{"no proof", DPoP{Request: original}, "GET", query, []string{"X-Original-Method: GET", "X-Original-URI: /orders"}, 401},
		{"switched off", DPoP{}, "GET", query, []string{"X-Original-Method: GET", "X-Original-URI: /orders", proof("GET", orders+"/orders")}, 401},
	} {
		t.Run("DP-04 RFC 9449 §7.1 "+row.name, func(t *testing.T) {
			g, _ := newGate(t, func(c *Config) { c.Verifier, c.DPoP = boundTokens(k), row.dpop })
			w := check(g, row.method, row.target, append([]string{bound}, row.headers...)...)
			require.Equal(t, row.want, w.Code, w.Body.String())
		})
	}
	t.Run("DP-05 RFC 9449 §7.2 as Bearer", func(t *testing.T) {
		for _, d := range []DPoP{{}, {Request: original}} {
			g, _ := newGate(t, func(c *Config) { c.Verifier, c.DPoP = boundTokens(k), d })
			w := check(g, "GET", query, "Authorization: Bearer bound", "X-Original-Method: GET", "X-Original-URI: /orders", proof("GET", orders+"/orders"))
			require.Equal(t, 401, w.Code)
			require.Contains(t, w.Body.String(), "invalid_token")
		}
	})
	t.Run("DP-06 RFC 9449 §7.1 the challenge names the algorithms where proofs are taken", func(t *testing.T) {
		on, _ := newGate(t, func(c *Config) { c.DPoP.Request = original })
		off, _ := newGate(t, nil)
		require.Contains(t, strings.Join(check(on, "GET", query).Header()["Www-Authenticate"], ", "), `DPoP scope="orders:read", algs="ES256 `)
		require.NotContains(t, strings.Join(check(off, "GET", query).Header()["Www-Authenticate"], ", "), "DPoP")
	})
	for _, d := range []DPoP{{Request: "X-Method"}, {URL: orders}, {Request: original, URL: "orders.example.com"}, {NonceKey: make([]byte, 32)}, {Request: original, NonceKey: make([]byte, 31)}} {
		require.ErrorContains(t, Config{DPoP: d}.Check(), "gate: ")
	}
}
