package integration_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/clientcert/certtest"
	"github.com/grantor-auth/grantor/internal/dpop"
	"github.com/grantor-auth/grantor/internal/dpop/dpoptest"
)

// endsTLS is how a recipe lets the proxy itself end TLS, as its comments say. CRT, KEY and PEM are
// the proxy's certificate, its key, and both.
var endsTLS = map[string]struct{ changes, flags []string }{
	"nginx": {
		[]string{";              # with TLS in front", " ssl; ssl_certificate CRT; ssl_certificate_key KEY; ssl_verify_client optional_no_ca; # with TLS in front"},
		[]string{"--client-cert-header", "X-Client-Cert", "--client-cert-format", "pem"}},
	"HAProxy": {
		[]string{"                     # with TLS in front", " ssl crt PEM ca-file CRT verify optional crt-ignore-err all ca-ignore-err all # with TLS in front"},
		[]string{"--client-cert-header", "Client-Cert"}},
	"Apache": {
		[]string{"<VirtualHost ", "LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\n<VirtualHost ",
			"    LuaScope thread\n", "    LuaScope thread\n    SSLEngine on\n    SSLCertificateFile CRT\n    SSLCertificateKeyFile KEY\n    SSLVerifyClient optional_no_ca\n"},
		[]string{"--client-cert-header", "Client-Cert"}},
	"Caddy": {
		[]string{"http://:", "https://localhost:", "\tbind 127.0.0.1\n", "\tbind 127.0.0.1\n\ttls CRT KEY {\n\t\tclient_auth {\n\t\t\tmode request\n\t\t}\n\t}\n"},
		[]string{"--client-cert-header", "X-Client-Cert", "--client-cert-format", "der"}},
	"Envoy": {
		[]string{"        - filters:\n", `        - transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                tls_certificates: [{ certificate_chain: { filename: CRT }, private_key: { filename: KEY } }]
                validation_context: { trusted_ca: { filename: CRT }, trust_chain_verification: ACCEPT_UNTRUSTED }
          filters:
`},
		[]string{"--client-cert-header", "X-Forwarded-Client-Cert"}},
}

// frontTLS starts Grantor, whose client billing has bound tokens, a gate, and a proxy that ends
// TLS.
// flags are in the place of the recipe's.
func frontTLS(t *testing.T, name string, flags ...string) (*mtlsDeployment, *fronted) {
	t.Helper()
	how := endsTLS[name]
	if flags != nil {
		how.flags = flags
	}
	m := deployMTLS(t, memoryStore)
	addr := freeAddress(t)
	m.prepend(t, m.files()+"issuer = \"https://"+addr+"\"\n")
	f := &fronted{d: m.deployment, issue: run(t, built(t, module), nil, "serve", "--config", m.config, "--listen", addr), api: startAPI(t)}
	f.gate = m.startGate(t, f.issue.URL, append(slices.Clone(how.flags), "--ca-file", m.caFile)...)
	both := filepath.Join(t.TempDir(), "both.pem")
	crt, err := os.ReadFile(m.serverCert[0])
	require.NoError(t, err)
	key, err := os.ReadFile(m.serverCert[1])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(both, slices.Concat(crt, key), 0o600))
	files := strings.NewReplacer("CRT", m.serverCert[0], "KEY", m.serverCert[1], "PEM", both)
	for _, text := range how.changes {
		recipeChange = append(recipeChange, files.Replace(text))
	}
	defer func() { recipeChange = nil }()
	f.proxy = proxies[name](t, strings.TrimPrefix(f.gate.URL, "http://"), f.api.addr)
	r := m.curl(t, f.issue.URL+"/oauth2/token", m.billing, "-d", "grant_type=client_credentials", "-d", "client_id=billing")
	require.Equal(t, 200, r.status, r.body)
	f.token = r.text("access_token")
	return m, f
}

// overTLS asks for the orders with a certificate; the zero certificate: without.
func (f *fronted) overTLS(t *testing.T, m *mtlsDeployment, c tls.Certificate, headers ...string) (*http.Response, string) {
	t.Helper()
	config := &tls.Config{RootCAs: m.roots, MinVersion: tls.VersionTLS12}
	if c.Certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: 20 * time.Second}
	r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+strings.Replace(f.proxy.addr, "127.0.0.1", "localhost", 1)+"/orders", nil)
	require.NoError(t, err)
	for _, h := range append(headers, "Authorization: Bearer "+f.token) {
		name, value, _ := strings.Cut(h, ": ")
		r.Header[name] = append(r.Header[name], value) // as it is spelt
	}
	res, err := client.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(body)
}

// TestGateCertificates: proxies tell the gate which certificate a client presented, and clients
// cannot.
func TestGateCertificates(t *testing.T) {
	for name := range proxies {
		t.Run(name, func(t *testing.T) {
			m, f := frontTLS(t, name)
			escaped := strings.ReplaceAll(url.QueryEscape(string(certtest.PEM(m.billing))), "+", "%20")
			der := base64.StdEncoding.EncodeToString(m.billing.Certificate[0])
			forged := []string{"Client-Cert: :" + der + ":", "X-Client-Cert: " + escaped, "client-cert: :" + der + ":", "Client_Cert: :" + der + ":", "X_Client_Cert: " + escaped,
				"X-Client-Cert: " + der, "X-Forwarded-Client-Cert: Cert=\"" + escaped + "\"", "Client-Cert-Chain: :" + der + ":"}
			t.Run("MT-05 RFC 8705 §3 a token with its certificate passes", func(t *testing.T) {
				res, body := f.overTLS(t, m, m.billing)
				require.Equal(t, 200, res.StatusCode, body)
			})
			before := f.api.count()
			for what, c := range map[string]tls.Certificate{"no certificate": {}, "another certificate": m.another, "a self-signed one": m.ownApp} {
				t.Run("MT-05 S-71 a stolen token with "+what, func(t *testing.T) {
					res, body := f.overTLS(t, m, c)
					require.Equal(t, 401, res.StatusCode, body)
					require.Contains(t, res.Header.Get("WWW-Authenticate"), `error="invalid_token"`)
				})
				for _, header := range forged {
					t.Run("MT-08 S-70 "+what+", and the header "+header[:14], func(t *testing.T) {
						res, body := f.overTLS(t, m, c, header)
						require.Equal(t, 401, res.StatusCode, body)
					})
				}
				res, body := f.overTLS(t, m, c, forged...)
				require.Contains(t, []int{400, 401}, res.StatusCode, body)
			}
			require.Equal(t, before, f.api.count(), "none of them reached the API")
			t.Run("MT-08 what the client says of its certificate does not reach the API", func(t *testing.T) {
				res, body := f.overTLS(t, m, m.billing, "Client-Cert: :AAAA:", "X-Client-Cert: forged")
				require.Equal(t, 200, res.StatusCode, body)
				r, _ := f.api.last(t, before+1)
				require.Empty(t, r.Header.Get("Client-Cert"))
				require.NotEqual(t, "forged", r.Header.Get("X-Client-Cert"))
			})
		})
	}
}

// TestGateCertificateFlag: a gate that reads another header than the one that the recipe writes is
// told nothing by clients either.
func TestGateCertificateFlag(t *testing.T) {
	for name := range proxies {
		for _, header := range []string{"Client-Cert", "X-Forwarded-Client-Cert"} {
			if slices.Contains(endsTLS[name].flags, header) {
				continue
			}
			t.Run("MT-08 S-70 "+name+" "+header, func(t *testing.T) {
				m, f := frontTLS(t, name, "--client-cert-header", header)
				escaped := strings.ReplaceAll(url.QueryEscape(string(certtest.PEM(m.billing))), "+", "%20")
				der := base64.StdEncoding.EncodeToString(m.billing.Certificate[0])
				res, body := f.overTLS(t, m, tls.Certificate{}, "Client-Cert: :"+der+":", "X-Forwarded-Client-Cert: Cert=\""+escaped+"\"")
				require.Equal(t, 401, res.StatusCode, body)
			})
		}
	}
}

// TestGateNonces: the gate demands nonces, which the proxies hand on.
func TestGateNonces(t *testing.T) {
	secret := strings.Repeat("n", 40)
	old, err := dpop.NewNonces(sha256.Sum256([]byte(secret)), 2*time.Minute)
	require.NoError(t, err)
	for name, source := range map[string]string{"nginx": "X-Original", "HAProxy": "X-Original", "Apache": "X-Original", "Caddy": "X-Forwarded", "Envoy": "path"} {
		t.Run(name, func(t *testing.T) {
			k, dir := dpoptest.New(t), t.TempDir()
			require.NoError(t, os.WriteFile(dir+"/secret", []byte("s"), 0o600))
			require.NoError(t, os.WriteFile(dir+"/nonces", []byte(secret+"\n"), 0o600))
			gate := run(t, built(t, module), nil, "gate", "--issuer", boundIssuer(t, k), "--client-id", "api", "--client-secret-file", dir+"/secret",
				"--listen", "127.0.0.1:0", "--live=false", "--dpop-request", source, "--dpop-nonce-key-file", dir+"/nonces")
			f := &fronted{gate: gate, api: startAPI(t)}
			f.proxy = proxies[name](t, strings.TrimPrefix(gate.URL, "http://"), f.api.addr)
			ask := func(changes ...dpoptest.Change) *http.Response {
				proof := k.Proof("GET", "https://orders.example.com/orders", append(changes, dpoptest.With("bound"))...)
				res, _ := f.ask(t, "GET", "/orders", "", "Authorization: DPoP bound", "DPoP: "+proof)
				return res
			}
			first := ask()
			require.Equal(t, 401, first.StatusCode, "DP-07 RFC 9449 §9")
			require.Contains(t, strings.Join(first.Header.Values("WWW-Authenticate"), ", "), `error="use_dpop_nonce"`)
			nonce := first.Header.Values("DPoP-Nonce")
			require.Len(t, nonce, 1)
			again := ask(dpoptest.Change{"nonce": nonce[0]})
			require.Equal(t, 200, again.StatusCode, "DP-07 one repetition is enough")
			require.Empty(t, again.Header.Values("DPoP-Nonce"))
			require.Equal(t, 401, ask(dpoptest.Change{"nonce": "forged"}).StatusCode, "DP-07")
			renewed := ask(dpoptest.Change{"nonce": old.Current(time.Now().Add(-2 * time.Minute))})
			require.Equal(t, 200, renewed.StatusCode, "DP-07 RFC 9449 §8.2 an old nonce is good, and the answer has the next one")
			require.Len(t, renewed.Header.Values("DPoP-Nonce"), 1)
			require.NotEmpty(t, renewed.Header.Get("DPoP-Nonce"))
		})
	}
}
