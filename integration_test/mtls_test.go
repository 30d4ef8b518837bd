package integration_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/grantor-auth/grantor/internal/clientcert/certtest"
	"github.com/grantor-auth/grantor/internal/processtest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// mtlsDeployment is a deployment with clients of certificates.
type mtlsDeployment struct {
	deployment
	ca               *certtest.CA
	caFile           string
	serverCert       [2]string // files of certificate and key
	roots            *x509.CertPool
	billing, another tls.Certificate
	ownApp           tls.Certificate // self-signed, of the app
}

const mtlsClients = `
[[clients]]
client_id = "billing"
grant_types = ["client_credentials"]
scope = "orders:*"
default_scope = "orders:read"
introspect = "any"
token_endpoint_auth_method = "tls_client_auth"
tls_client_auth_subject_dn = "CN=billing,O=Example"
tls_client_certificate_bound_access_tokens = true
[[clients]]
client_id = "bound-app"
token_endpoint_auth_method = "none"
grant_types = ["password", "refresh_token"]
scope = "orders:*"
default_scope = "orders:read"
tls_client_certificate_bound_access_tokens = true
`

func deployMTLS(t *testing.T, store string) *mtlsDeployment {
	t.Helper()
	m := &mtlsDeployment{ca: certtest.NewCA(t), roots: x509.NewCertPool()}
	m.caFile = m.ca.File(t)
	m.roots.AppendCertsFromPEM(m.ca.PEM())
	m.serverCert[0], m.serverCert[1] = certtest.Files(t, m.ca.Issue(t, func(c *x509.Certificate) {
		c.IPAddresses, c.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"localhost"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}))
	m.billing = m.ca.Issue(t, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "billing", Organization: []string{"Example"}}
	})
	m.another, m.ownApp = m.ca.Issue(t, nil), certtest.SelfSigned(t, nil)
	m.deployment = withUsers(t, store, mtlsClients+configUsers())
	return m
}

func (m *mtlsDeployment) files() string {
	return fmt.Sprintf("tls.mode = \"files\"\ntls.cert_file = %q\ntls.key_file = %q\ntls.client_ca_file = %q\n", m.serverCert[0], m.serverCert[1], m.caFile)
}

// prepend puts keys before the tables of config.toml.
func (m *mtlsDeployment) prepend(t *testing.T, keys string) {
	t.Helper()
	text, err := os.ReadFile(m.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(m.config, append([]byte(keys), text...), 0o600))
}

// curl asks with a certificate; the zero certificate: without.
func (m *mtlsDeployment) curl(t *testing.T, target string, cert tls.Certificate, args ...string) reply {
	t.Helper()
	needs(t, "curl", "")
	all := append([]string{"-s", "--cacert", m.caFile, "-w", "\n%{http_code}"}, args...)
	if cert.Leaf != nil {
		file, key := certtest.Files(t, cert)
		all = append(all, "--cert", file, "--key", key)
	}
	out, err := exec.CommandContext(t.Context(), "curl", append(all, target)...).Output()
	require.NoError(t, err, "%s", out)
	at := strings.LastIndexByte(string(out), '\n')
	r := reply{body: string(out[:at])}
	_, err = fmt.Sscan(string(out[at+1:]), &r.status)
	require.NoError(t, err)
	_ = json.Unmarshal([]byte(r.body), &r.json)
	return r
}

func certificateThumbprint(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestMTLSTwoNodes(t *testing.T) {
	m := deployMTLS(t, redisStore(redistest.Start(t)))
	m.prepend(t, m.files())
	a, b := m.serve(t), m.serve(t)
	ask := []string{"-d", "grant_type=client_credentials", "-d", "client_id=billing"}
	token := ""
	t.Run("MT-01 MT-04 curl: a token of one node is bound, and active on the other", func(t *testing.T) {
		r := m.curl(t, a.URL+"/oauth2/token", m.billing, ask...)
		require.Equal(t, 200, r.status, r.body)
		token = r.text("access_token")
		r = m.curl(t, b.URL+"/oauth2/introspect", m.billing, "-d", "client_id=billing", "-d", "token="+token)
		require.Equal(t, map[string]any{"x5t#S256": certificateThumbprint(m.billing)}, r.json["cnf"], r.body)
	})
	t.Run("MT-01 MT-03 refusals are alike", func(t *testing.T) {
		wrong := m.curl(t, a.URL+"/oauth2/token", tls.Certificate{}, "-d", "grant_type=client_credentials", "-u", "machine:nonsense")
		require.Equal(t, 401, wrong.status)
		expired := m.ca.Issue(t, func(c *x509.Certificate) {
			c.Subject, c.NotAfter = m.billing.Leaf.Subject, time.Now().Add(-time.Minute)
		})
		for name, cert := range map[string]tls.Certificate{"none": {}, "another subject": m.another, "no authority": m.ownApp, "expired": expired} {
			r := m.curl(t, b.URL+"/oauth2/token", cert, ask...)
			require.Equal(t, 401, r.status, name)
			require.Equal(t, wrong.body, r.body, name)
		}
	})
	t.Run("MT-06 curl: an app logs in on one node, and refreshes on the other with its certificate alone", func(t *testing.T) {
		in := m.curl(t, a.URL+"/oauth2/token", m.ownApp, "-d", "grant_type=password", "-d", "client_id=bound-app", "-d", "username=ada", "--data-urlencode", "password="+adaPassword)
		require.Equal(t, 200, in.status, in.body)
		again := []string{"-d", "grant_type=refresh_token", "-d", "client_id=bound-app", "-d", "refresh_token=" + in.text("refresh_token")}
		r := m.curl(t, b.URL+"/oauth2/token", m.another, again...)
		require.Equal(t, 400, r.status)
		require.Equal(t, "invalid_grant", r.text("error"))
		require.Equal(t, 400, m.curl(t, b.URL+"/oauth2/token", tls.Certificate{}, again...).status)
		r = m.curl(t, b.URL+"/oauth2/token", m.ownApp, again...)
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, r.text("refresh_token"), m.curl(t, a.URL+"/oauth2/token", m.ownApp, again...).text("refresh_token"), "a retry")
	})
	t.Run("MT-01 golang.org/x/oauth2 with a certificate", func(t *testing.T) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: m.roots, Certificates: []tls.Certificate{m.billing}, MinVersion: tls.VersionTLS12}}}
		defer client.CloseIdleConnections()
		c := clientcredentials.Config{ClientID: "billing", TokenURL: a.URL + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams}
		got, err := c.Token(context.WithValue(t.Context(), oauth2.HTTPClient, client))
		require.NoError(t, err)
		require.NotEmpty(t, got.AccessToken)
	})
	t.Run("the trail names the certificate", func(t *testing.T) {
		require.Eventually(t, func() bool {
			return strings.Contains(a.Out.String(), fmt.Sprintf(`cert:%x`, sha256.Sum256(m.billing.Certificate[0]))[:21])
		}, 10*time.Second, 20*time.Millisecond)
	})
	t.Run("MT-01 revoked binding: another authority in client_ca_file counts at once, and the old one no more", func(t *testing.T) {
		next := certtest.NewCA(t)
		require.NoError(t, os.WriteFile(m.caFile+".new", next.PEM(), 0o600))
		kept := filepath.Join(t.TempDir(), "server-ca.pem")
		require.NoError(t, os.WriteFile(kept, m.ca.PEM(), 0o600))
		require.NoError(t, os.Rename(m.caFile+".new", m.caFile))
		old := *m
		old.caFile = kept
		renewed := next.Issue(t, func(c *x509.Certificate) { c.Subject = m.billing.Leaf.Subject })
		require.Eventually(t, func() bool { return old.curl(t, a.URL+"/oauth2/token", renewed, ask...).status == 200 }, 20*time.Second, 50*time.Millisecond)
		require.Equal(t, 401, old.curl(t, a.URL+"/oauth2/token", m.billing, ask...).status)
	})
}

func TestMTLSListener(t *testing.T) {
	m := deployMTLS(t, memoryStore)
	addr := freeAddress(t)
	m.prepend(t, m.files()+fmt.Sprintf("tls.mtls_listen = %q\ntls.mtls_url = \"https://%s\"\n", addr, addr))
	p := m.serve(t)
	t.Run("MT-07 RFC 8705 §5 the alias takes certificates, and the main listener asks for none", func(t *testing.T) {
		d := m.curl(t, p.URL+"/.well-known/oauth-authorization-server", tls.Certificate{}).json
		aliases := d["mtls_endpoint_aliases"].(map[string]any)
		require.Equal(t, "https://"+addr+"/oauth2/token", aliases["token_endpoint"])
		ask := []string{"-d", "grant_type=client_credentials", "-d", "client_id=billing"}
		require.Equal(t, 200, m.curl(t, aliases["token_endpoint"].(string), m.billing, ask...).status)
		require.Equal(t, 401, m.curl(t, p.URL+"/oauth2/token", m.billing, ask...).status)
		require.Equal(t, 200, m.curl(t, "https://"+addr+"/oauth2/token", tls.Certificate{}, "-d", "grant_type=client_credentials", "-u", "machine:"+m.machine).status)
	})
}

// mtlsProxy starts a recipe of deploy/mtls, which connects from 127.0.0.2.
var mtlsProxies = map[string]struct {
	keys  string
	start func(t *testing.T, m *mtlsDeployment, addr, node string)
}{
	"nginx": {"tls.client_cert_header = \"X-Client-Cert\"\ntls.client_cert_format = \"pem\"\n", func(t *testing.T, m *mtlsDeployment, addr, node string) {
		text := mtlsRecipe(t, "nginx.conf", "127.0.0.1:8443", addr, "http://127.0.0.1:8080;", "http://"+node+"; proxy_bind 127.0.0.2;",
			"/etc/nginx/tls/tls.crt", m.serverCert[0], "/etc/nginx/tls/tls.key", m.serverCert[1])
		dir := t.TempDir()
		startTLSProxy(t, m.roots, addr, "nginx", "-p", dir, "-c", nginxMain(t, dir, text))
	}},
	"HAProxy": {"tls.client_cert_header = \"Client-Cert\"\n", func(t *testing.T, m *mtlsDeployment, addr, node string) {
		dir := t.TempDir()
		pair := filepath.Join(dir, "tls.pem")
		var both []byte
		for _, name := range m.serverCert {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			both = append(both, text...)
		}
		require.NoError(t, os.WriteFile(pair, both, 0o600))
		text := mtlsRecipe(t, "haproxy.cfg", "127.0.0.1:8443", addr, "127.0.0.1:8080", node+" source 127.0.0.2", "/etc/haproxy/tls.pem", pair, "/etc/haproxy/clients.pem", m.caFile)
		file := filepath.Join(dir, "haproxy.cfg")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		startTLSProxy(t, m.roots, addr, "haproxy", "-db", "-f", file)
	}},
	"Envoy": {"tls.client_cert_header = \"X-Forwarded-Client-Cert\"\n", func(t *testing.T, m *mtlsDeployment, addr, node string) {
		text := mtlsRecipe(t, "envoy.yaml", "port_value: 8443", "port_value: "+portOf(addr), "port_value: 8080", "port_value: "+portOf(node),
			"/etc/envoy/tls.crt", m.serverCert[0], "/etc/envoy/tls.key", m.serverCert[1], "/etc/envoy/clients.pem", m.caFile,
			"      type: STATIC", "      type: STATIC\n      upstream_bind_config: { source_address: { address: 127.0.0.2, port_value: 0 } }")
		file := filepath.Join(t.TempDir(), "envoy.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		startTLSProxy(t, m.roots, addr, "envoy", "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "--config-path", file)
	}},
}

func mtlsRecipe(t *testing.T, name string, pairs ...string) string {
	t.Helper()
	text, err := os.ReadFile("../deploy/mtls/" + name)
	require.NoError(t, err)
	return strings.NewReplacer(pairs...).Replace(string(text))
}

// startTLSProxy runs a proxy until the test ends, and waits until it answers.
func startTLSProxy(t *testing.T, roots *x509.CertPool, addr, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(proxyProgram(t, program), args...)
	said := &processtest.Text{}
	cmd.Stdout, cmd.Stderr = said, said
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", program, said)
		}
	})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	defer client.CloseIdleConnections()
	require.Eventually(t, func() bool {
		res, err := client.Get("https://" + addr + "/healthz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode < http.StatusInternalServerError
	}, 20*time.Second, 20*time.Millisecond, program)
}

func TestMTLSBehindProxies(t *testing.T) {
	for name, proxy := range mtlsProxies {
		t.Run(name, func(t *testing.T) {
			m := deployMTLS(t, memoryStore)
			m.prepend(t, "trusted_proxies = [\"127.0.0.2\"]\ntls.mode = \"proxy\"\n"+proxy.keys+fmt.Sprintf("tls.client_ca_file = %q\n", m.caFile))
			p := m.serve(t)
			addr := freeAddress(t)
			proxy.start(t, m, addr, strings.TrimPrefix(p.URL, "http://"))
			m.behind(t, p, "https://"+addr)
		})
	}
}

// behind plays a proxy that ends TLS.
func (m *mtlsDeployment) behind(t *testing.T, p *process, front string) {
	ask := []string{"-d", "grant_type=client_credentials", "-d", "client_id=billing"}
	pem := strings.ReplaceAll(url.QueryEscape(string(certtest.PEM(m.billing))), "+", "%20")
	binary := ":" + base64.StdEncoding.EncodeToString(m.billing.Certificate[0]) + ":"
	forged := []string{"-H", "X-Client-Cert: " + pem, "-H", "Client-Cert: " + binary, "-H", "Client-Cert-Chain: " + binary,
		"-H", `X-Forwarded-Client-Cert: Cert="` + pem + `"`}
	t.Run("MT-08 RFC 8705 §6.5 the header of the proxy is believed", func(t *testing.T) {
		r := m.curl(t, front+"/oauth2/token", m.billing, ask...)
		require.Equal(t, 200, r.status, r.body)
		r = m.curl(t, front+"/oauth2/introspect", m.billing, "-d", "client_id=billing", "-d", "token="+r.text("access_token"))
		require.Equal(t, map[string]any{"x5t#S256": certificateThumbprint(m.billing)}, r.json["cnf"], r.body)
	})
	t.Run("MT-08 a header that the client sends is stripped by the proxy", func(t *testing.T) {
		require.Equal(t, 401, m.curl(t, front+"/oauth2/token", tls.Certificate{}, append(forged, ask...)...).status)
		require.Equal(t, 401, m.curl(t, front+"/oauth2/token", m.another, append(forged, ask...)...).status)
		require.Equal(t, 200, m.curl(t, front+"/oauth2/token", m.billing, append(forged, ask...)...).status)
	})
	t.Run("MT-08 S-18 a header of anybody else is ignored", func(t *testing.T) {
		require.Equal(t, 401, m.curl(t, p.URL+"/oauth2/token", tls.Certificate{}, append(forged, ask...)...).status)
		require.Eventually(t, func() bool { return strings.Contains(p.Log.String(), `"reason":"certificate_header_not_trusted"`) }, 10*time.Second, 20*time.Millisecond)
	})
	t.Run("MT-06 a self-signed certificate passes the proxy, and binds", func(t *testing.T) {
		in := m.curl(t, front+"/oauth2/token", m.ownApp, "-d", "grant_type=password", "-d", "client_id=bound-app", "-d", "username=ada", "--data-urlencode", "password="+adaPassword)
		require.Equal(t, 200, in.status, in.body)
		again := []string{"-d", "grant_type=refresh_token", "-d", "client_id=bound-app", "-d", "refresh_token=" + in.text("refresh_token")}
		require.Equal(t, "invalid_grant", m.curl(t, front+"/oauth2/token", m.another, again...).text("error"))
		require.Equal(t, 200, m.curl(t, front+"/oauth2/token", m.ownApp, again...).status)
	})
	t.Run("MT-01 no authority vouches for a self-signed certificate", func(t *testing.T) {
		own := certtest.SelfSigned(t, func(c *x509.Certificate) { c.Subject = m.billing.Leaf.Subject })
		require.Equal(t, 401, m.curl(t, front+"/oauth2/token", own, ask...).status)
	})
}

// TestMTLSNode: clients that others wrote, with certificates.
func TestMTLSNode(t *testing.T) {
	m := deployMTLS(t, memoryStore)
	addr := freeAddress(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	jwk, err := json.Marshal(jose.JSONWebKey{Key: private, KeyID: "k1", Algorithm: "ES256", Use: "sig"})
	require.NoError(t, err)
	public := private.PublicKey
	text, err := os.ReadFile(m.config)
	require.NoError(t, err)
	signer := fmt.Sprintf("[[clients]]\nclient_id = \"signer\"\ngrant_types = [\"client_credentials\"]\nscope = \"orders:*\"\ndefault_scope = \"orders:read\"\n"+
		"introspect = \"any\"\ntoken_endpoint_auth_method = \"private_key_jwt\"\ntls_client_certificate_bound_access_tokens = true\n"+
		"jwks = { keys = [{ kty = \"EC\", crv = \"P-256\", kid = \"k1\", alg = \"ES256\", x = %q, y = %q }] }\n", coordinate(public.X), coordinate(public.Y))
	require.NoError(t, os.WriteFile(m.config, append(text, signer...), 0o600))
	main := freeAddress(t)
	m.prepend(t, m.files()+fmt.Sprintf("issuer = \"https://%s\"\ntls.mtls_listen = %q\ntls.mtls_url = \"https://%s\"\n", main, addr, addr))
	run(t, built(t, module), nil, "serve", "--config", m.config, "--listen", main)
	cert, key := certtest.Files(t, m.billing)
	for _, program := range []string{"mtls_openid_client.mjs", "mtls_oauth4webapi.mjs"} {
		t.Run("MT-01 MT-04 MT-07 "+program, func(t *testing.T) {
			node(t, program, "ISSUER=https://"+main, "CA="+m.caFile, "CERT="+cert, "KEY="+key, "SIGNER_KEY="+string(jwk),
				"THUMBPRINT="+certificateThumbprint(m.billing))
		})
	}
}

func coordinate(n *big.Int) string {
	return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, 32)))
}

func TestGuideMTLS(t *testing.T) {
	needs(t, "openssl", "")
	needs(t, "curl", "")
	needs(t, "jq", "")
	_, port, _ := strings.Cut(freeAddr(t), ":")
	guide{page: "mtls.md", here: []string{"localhost:8443", "localhost:" + port, "127.0.0.1:8443", "127.0.0.1:" + port},
		programs: map[string]string{"grantor": built(t, module)}}.follow(t)
}
