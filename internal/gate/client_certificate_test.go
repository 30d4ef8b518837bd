package gate

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/clientcert/certtest"
	"github.com/grantor-auth/grantor/internal/dpop/dpoptest"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
)

// certified knows one token more, which is bound to a certificate.
func certified(c tls.Certificate) middleware.VerifierFunc {
	return func(ctx context.Context, text string) (*middleware.Token, error) {
		if text != "certified" {
			return tokens(ctx, text)
		}
		return middleware.FromHolder(ctx, &middleware.Token{Subject: "m", ClientID: "m", Scope: scopes.MustParse("orders:read"), Audience: []string{orders},
			ExpiresAt: time.Now().Add(time.Minute), Confirmation: middleware.Confirmation{CertificateThumbprint: sha256.Sum256(c.Certificate[0])}})
	}
}

func rfc9440(c tls.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(c.Certificate[0]) + ":"
}

func escaped(c tls.Certificate) string {
	return strings.ReplaceAll(url.QueryEscape(string(certtest.PEM(c))), "+", "%20")
}

func TestClientCert(t *testing.T) {
	good, other := certtest.SelfSigned(t, nil), certtest.SelfSigned(t, nil)
	expired := certtest.SelfSigned(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	const query = "/verify?scope=orders:read&audience=" + orders
	standard, named := ClientCert{Header: "Client-Cert"}, ClientCert{Header: "x-client-cert", Format: "pem"}
	for _, row := range []struct {
		name    string
		bound   tls.Certificate
		config  ClientCert
		headers []string
		want    int
	}{
		{"its certificate, as HAProxy and httpd write it", good, standard, []string{"Client-Cert: " + rfc9440(good)}, 200},
		{"its certificate, as nginx writes it", good, named, []string{"X-Client-Cert: " + escaped(good)}, 200},
		{"its certificate, as Caddy writes it", good, ClientCert{"X-Client-Cert", "der"}, []string{"X-Client-Cert: " + strings.Trim(rfc9440(good), ":")}, 200},
		{"its certificate, as Envoy writes it", good, ClientCert{Header: "X-Forwarded-Client-Cert"}, []string{`X-Forwarded-Client-Cert: Cert="` + escaped(good) + `"`}, 200},
		{"no certificate", good, standard, nil, 401},
		{"an empty header, as without a certificate", good, standard, []string{"Client-Cert: "}, 401},
		{"another certificate", good, standard, []string{"Client-Cert: " + rfc9440(other)}, 401},
		{"an expired certificate", expired, standard, []string{"Client-Cert: " + rfc9440(expired)}, 401},
		{"two lines: the client's and the proxy's", good, standard, []string{"Client-Cert: " + rfc9440(good), "Client-Cert: " + rfc9440(other)}, 401},
		{"two lines of the same", good, standard, []string{"Client-Cert: " + rfc9440(good), "Client-Cert: " + rfc9440(good)}, 401},
		{"two values in a line", good, standard, []string{"Client-Cert: " + rfc9440(good) + ", " + rfc9440(other)}, 401},
		{"an element of another proxy before Envoy's", good, ClientCert{Header: "X-Forwarded-Client-Cert"}, []string{`X-Forwarded-Client-Cert: Cert="` + escaped(good) + `",Cert="` + escaped(other) + `"`}, 401},
		{"a header that the proxy does not set", good, standard, []string{"X-Client-Cert: " + escaped(good)}, 401},
		{"the spelling with an underscore", good, standard, []string{"Client_Cert: " + rfc9440(good)}, 401},
		{"another format", good, named, []string{"X-Client-Cert: " + rfc9440(good)}, 401},
		{"switched off", good, ClientCert{}, []string{"Client-Cert: " + rfc9440(good)}, 401},
	} {
		t.Run("MT-05 MT-08 RFC 8705 §3 "+row.name, func(t *testing.T) {
			g, log := newGate(t, func(c *Config) { c.Verifier, c.ClientCert = certified(row.bound), row.config })
			w := check(g, "GET", query, append([]string{"Authorization: Bearer certified"}, row.headers...)...)
			require.Equal(t, row.want, w.Code, w.Body.String())
			if row.want == 401 {
				require.Contains(t, w.Body.String(), `"error":"invalid_token"`)
				require.Contains(t, w.Header().Get("WWW-Authenticate"), `error="invalid_token"`)
			}
			require.Equal(t, row.config == ClientCert{}, strings.Contains(log.String(), "--client-cert-header"), "the operator is told what to set")
		})
	}
	t.Run("RFC 6750 §2.1 an unbound token beside any certificate", func(t *testing.T) {
		g, _ := newGate(t, func(c *Config) { c.ClientCert = standard })
		require.Equal(t, 200, check(g, "GET", query, "Authorization: Bearer machine", "Client-Cert: nonsense").Code)
	})
	t.Run("S-70 the certificate of the proxy's own connection is nobody's", func(t *testing.T) {
		for _, config := range []ClientCert{{}, standard} {
			g, _ := newGate(t, func(c *Config) { c.Verifier, c.ClientCert = certified(good), config })
			r := httptest.NewRequest("GET", query, nil)
			r.Header.Set("Authorization", "Bearer certified")
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{good.Leaf}}
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			require.Equal(t, 401, w.Code)
		}
	})
	t.Run("RFC 9728 §2 the metadata says that such tokens are taken", func(t *testing.T) {
		for _, config := range []ClientCert{{}, standard} {
			g, _ := newGate(t, func(c *Config) { c.Issuer, c.ClientCert = "https://auth.example.com", config })
			body := check(g, "GET", "/metadata?resource="+orders).Body.String()
			require.Equal(t, config == standard, strings.Contains(body, `"tls_client_certificate_bound_access_tokens":true`), body)
		}
	})
	for _, c := range []ClientCert{{Format: "pem"}, {Header: "X-Cert"}, {Header: "Host", Format: "pem"}, {Header: "A B", Format: "pem"}} {
		require.ErrorContains(t, Config{ClientCert: c}.Check(), "gate: ")
	}
}

func TestDPoPNonce(t *testing.T) {
	k := dpoptest.New(t)
	const query = "/verify?scope=orders:read&audience=" + orders
	config := func(c *Config) {
		c.Verifier, c.DPoP = boundTokens(k), DPoP{Request: RequestOriginal, NonceKey: []byte(strings.Repeat("n", 32))}
	}
	one, _ := newGate(t, config)
	another, _ := newGate(t, config)
	ask := func(g *Gate, changes ...dpoptest.Change) *httptest.ResponseRecorder {
		proof := k.Proof("GET", orders+"/orders", append(changes, dpoptest.With("bound"))...)
		return check(g, "GET", query, "Authorization: DPoP bound", "X-Original-Method: GET", "X-Original-URI: /orders", "DPoP: "+proof)
	}
	first := ask(one)
	require.Equal(t, http.StatusUnauthorized, first.Code, "DP-07 RFC 9449 §9")
	require.Contains(t, first.Header().Get("WWW-Authenticate"), `DPoP error="use_dpop_nonce"`)
	nonce := first.Header().Get("DPoP-Nonce")
	require.NotEmpty(t, nonce)
	require.Equal(t, 200, ask(another, dpoptest.Change{"nonce": nonce, "iat": 1}).Code, "any gate of the key takes it, and clients' clocks do not count")
	forged := ask(one, dpoptest.Change{"nonce": "forged"})
	require.Equal(t, 401, forged.Code)
	require.Contains(t, forged.Body.String(), "use_dpop_nonce")
	bearer := check(one, "GET", query, "Authorization: Bearer machine")
	require.Equal(t, 200, bearer.Code)
	require.Empty(t, bearer.Header().Get("DPoP-Nonce"))
}
