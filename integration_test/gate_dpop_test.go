package integration_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/dpop/dpoptest"
)

// boundIssuer is an authorization server whose token "bound" is bound to a key.
func boundIssuer(t *testing.T, k *dpoptest.Key) string {
	t.Helper()
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	answer := func(w http.ResponseWriter, text string) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, text)
	}
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, fmt.Sprintf(`{"issuer":"%[1]s","introspection_endpoint":"%[1]s/introspect"}`, s.URL))
	})
	mux.HandleFunc("POST /introspect", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("token") != "bound" {
			answer(w, `{"active":false}`)
			return
		}
		answer(w, fmt.Sprintf(`{"active":true,"token_type":"DPoP","client_id":"machine","sub":"machine","scope":"orders:read orders:write","aud":"https://orders.example.com",
			"exp":%d,"cnf":{"jkt":"%s"}}`, time.Now().Unix()+300, k.JKT()))
	})
	return s.URL
}

// TestGateDPoP: proxies tell the gate which request a proof is for, and clients cannot.
func TestGateDPoP(t *testing.T) {
	for name, source := range map[string]string{"nginx": "X-Original", "HAProxy": "X-Original", "Apache": "X-Original", "Caddy": "X-Forwarded", "Envoy": "path"} {
		t.Run(name, func(t *testing.T) {
			k := dpoptest.New(t)
			secret := filepath.Join(t.TempDir(), "secret")
			require.NoError(t, os.WriteFile(secret, []byte("s"), 0o600))
			gate := run(t, built(t, module), nil, "gate", "--issuer", boundIssuer(t, k), "--client-id", "api", "--client-secret-file", secret,
				"--listen", "127.0.0.1:0", "--live=false", "--dpop-request", source)
			f := &fronted{gate: gate, api: startAPI(t)}
			f.proxy = proxies[name](t, strings.TrimPrefix(gate.URL, "http://"), f.api.addr)
			bound := func(method, htu string) []string {
				return []string{"Authorization: DPoP bound", "DPoP: " + k.Proof(method, htu, dpoptest.With("bound"))}
			}
			const orders = "https://orders.example.com/orders"
			t.Run("DP-04 RFC 9449 §7.1 a token with its proof passes", func(t *testing.T) {
				for _, method := range []string{"GET", "DELETE"} {
					res, body := f.ask(t, method, "/orders/1?a=b%20c", "", bound(method, orders+"/1")...)
					require.Equal(t, 200, res.StatusCode, body)
				}
			})
			used := bound("GET", orders)
			res, body := f.ask(t, "GET", "/orders", "", used...)
			require.Equal(t, 200, res.StatusCode, body)
			before := f.api.count()
			pretend := []string{"X-Original-Method: GET", "X-Original-URI: /orders/2", "X-Forwarded-Method: GET", "X-Forwarded-Uri: /orders/2"}
			for what, headers := range map[string][]string{
				"DP-05 RFC 9449 §7.2 a stolen token as Bearer": {"Authorization: Bearer bound"},
				"DP-04 a stolen token without proof":           {"Authorization: DPoP bound"},
				"DP-04 a stolen token, and a proof by another key": {"Authorization: DPoP bound",
					"DPoP: " + dpoptest.New(t).Proof("GET", orders, dpoptest.With("bound"))},
				"DP-04 RFC 9449 §11.1 a replayed proof":     used,
				"DP-04 a proof for another URL":             bound("GET", orders+"/2"),
				"DP-04 a proof for another method":          bound("POST", orders),
				"DP-11 two proofs":                          append(bound("GET", orders), "DPoP: "+k.Proof("GET", orders, dpoptest.With("bound"))),
				"DP-04 the client says which request it is": append(bound("GET", orders+"/2"), pretend...),
			} {
				t.Run(what, func(t *testing.T) {
					res, body := f.ask(t, "GET", "/orders", "", headers...)
					require.Equal(t, 401, res.StatusCode, body)
					all := strings.Join(res.Header.Values("WWW-Authenticate"), ", ")
					require.Regexp(t, `DPoP error="invalid_(token|dpop_proof)"`, all)
					require.Contains(t, all, `algs="ES256`, "DP-06")
				})
			}
			require.Equal(t, before, f.api.count(), "none of them reached the API")
		})
	}
}
