package server

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/clientcert"
	"github.com/grantor-auth/grantor/internal/clientcert/certtest"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/middleware"
)

// withCertificates reads certificates of TLS, and with a header those that 127.0.0.1 writes there.
func withCertificates(t *testing.T, ca *certtest.CA, header string) func(*Config) {
	t.Helper()
	return func(c *Config) {
		var proxies address.Networks
		if header != "" {
			c.TrustedProxies = []string{"127.0.0.1"}
			proxies, _ = address.ParseNetworks(c.TrustedProxies)
		}
		var err error
		c.Certificates, err = clientcert.NewSource(header, "", proxies)
		require.NoError(t, err)
		c.Authorities, err = clientcert.ReadAuthorities(ca.PEM())
		require.NoError(t, err)
	}
}

// withRegistrations adds clients to those of the fixture.
func withRegistrations(t *testing.T, list ...clients.Registration) func(*Config) {
	t.Helper()
	return func(c *Config) {
		all := testClients()
		for _, r := range list {
			one, err := r.Client()
			require.NoError(t, err)
			require.NoError(t, one.Check(c.Catalogue))
			all = append(all, one)
		}
		c.Clients = keptFresh{func() []*clients.Client { return all }, c.Store}
	}
}

// machine is a client of a method that may ask for tokens and see all.
func machine(id string, method clients.Method, edit func(*clients.Registration)) clients.Registration {
	r := clients.Registration{ID: id, Method: method, Grants: []string{clients.GrantClientCredentials},
		Scope: "plain", DefaultScope: "plain", Introspect: clients.SightAny}
	if edit != nil {
		edit(&r)
	}
	return r
}

// secured is a fixture behind a front that asks for certificates.
type secured struct {
	*fixture
	url   string
	roots *x509.CertPool
}

func (f *fixture) secure(t *testing.T, http1 bool) *secured {
	t.Helper()
	ca := certtest.NewCA(t)
	own := ca.Issue(t, func(c *x509.Certificate) {
		c.IPAddresses, c.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	front := NewFront(f.server, FrontConfig{HTTP1: http1, Log: f.server.log, ClientCertificates: true,
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &own, nil }})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = front.Serve(l) }()
	t.Cleanup(func() { _ = front.Close() })
	s := &secured{f, "https://" + l.Addr().String(), x509.NewCertPool()}
	s.roots.AppendCertsFromPEM(ca.PEM())
	return s
}

// client is an HTTP client with a certificate; nil: without.
func (s *secured) client(t *testing.T, cert *tls.Certificate, http2 bool) *http.Client {
	t.Helper()
	cfg := &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if cert != nil { // whatever authorities the server names
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	transport := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: http2}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (s *secured) ask(t *testing.T, c *http.Client, path, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	require.NoError(t, err)
	for _, h := range append(headers, formHeader) {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	res, err := c.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	r := reply{status: res.StatusCode, header: res.Header, body: string(text)}
	require.NoError(t, json.Unmarshal(text, &r.json), r.body)
	s.described(t, req, body, res, text)
	return r
}

// x5c is a key set that holds certificates, and their keys.
func x5c(t *testing.T, list ...tls.Certificate) *jwt.KeySet {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, c := range list {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: c.Leaf.PublicKey, Certificates: []*x509.Certificate{c.Leaf}, Use: "sig"})
	}
	text, err := json.Marshal(set)
	require.NoError(t, err)
	keys, err := jwt.ParseKeySet(text)
	require.NoError(t, err)
	return keys
}

func billing(t *testing.T) func(*x509.Certificate) {
	t.Helper()
	id, err := url.Parse("spiffe://example.org/billing")
	require.NoError(t, err)
	return func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "billing", Organization: []string{"Example, Inc."}}
		c.DNSNames, c.URIs = []string{"billing.example.com"}, []*url.URL{id}
		c.IPAddresses, c.EmailAddresses = []net.IP{net.ParseIP("192.0.2.7")}, []string{"billing@example.com"}
	}
}

func tlsClients() (list []clients.Registration) {
	for id, edit := range map[string]func(*clients.Registration){
		"tls-dn":    func(r *clients.Registration) { r.TLSSubjectDN = `CN=billing,O=Example\, Inc.` },
		"tls-dns":   func(r *clients.Registration) { r.TLSSANDNS = "billing.example.com" },
		"tls-uri":   func(r *clients.Registration) { r.TLSSANURI = "spiffe://example.org/billing" },
		"tls-ip":    func(r *clients.Registration) { r.TLSSANIP = "192.0.2.7" },
		"tls-email": func(r *clients.Registration) { r.TLSSANEmail = "billing@example.com" },
	} {
		list = append(list, machine(id, clients.MethodTLS, edit))
	}
	return list
}

func TestTLSClientAuth(t *testing.T) {
	ca := certtest.NewCA(t)
	disabled := machine("tls-off", clients.MethodTLS, func(r *clients.Registration) { r.TLSSANDNS, r.Disabled = "billing.example.com", true })
	f := start(t, withCertificates(t, ca, ""), withRegistrations(t, append(tlsClients(), disabled)...))
	good := ca.Issue(t, billing(t))
	for front, http1 := range map[string]bool{"http1": true, "net/http": false} {
		s := f.secure(t, http1)
		for _, http2 := range []bool{false, true} {
			c := s.client(t, &good, http2)
			for _, id := range []string{"tls-dn", "tls-dns", "tls-uri", "tls-ip", "tls-email"} {
				name := "MT-01 RFC 8705 §2.1 " + front + " " + id
				if http2 {
					name += " over HTTP/2"
				}
				t.Run(name, func(t *testing.T) {
					issued := s.ask(t, c, tokP, ask+"&client_id="+id)
					require.Equal(t, 200, issued.status, issued.body)
					token := "client_id=" + id + "&token=" + issued.text("access_token")
					require.Equal(t, true, s.ask(t, c, intP, token).json["active"])
					require.Equal(t, 200, s.ask(t, c, revP, token).status)
					require.Equal(t, false, s.ask(t, c, intP, token).json["active"])
				})
			}
		}
	}
	s := f.secure(t, true)
	wrong := f.post(t, tokP, "app:nonsense", ask)
	other := ca.Issue(t, nil)
	for name, one := range map[string]struct {
		cert   *tls.Certificate
		client string
		reason clients.AuthReason
	}{
		"none":    {nil, "tls-dns", clients.ReasonNoCertificate},
		"expired": {new(ca.Issue(t, func(c *x509.Certificate) { billing(t)(c); c.NotAfter = time.Now().Add(-time.Minute) })), "tls-dns", clients.ReasonCertificateExpired},
		"for servers": {new(ca.Issue(t, func(c *x509.Certificate) {
			billing(t)(c)
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})), "tls-dns", clients.ReasonCertificatePurpose},
		"of another authority":     {new(certtest.NewCA(t).Issue(t, billing(t))), "tls-dns", clients.ReasonCertificateAuthority},
		"of no authority":          {new(certtest.SelfSigned(t, billing(t))), "tls-dn", clients.ReasonCertificateAuthority},
		"of another subject":       {&other, "tls-dn", clients.ReasonCertificateName},
		"without the name":         {&other, "tls-uri", clients.ReasonCertificateName},
		"right, and disabled":      {&good, "tls-off", clients.ReasonDisabled},
		"right, of another client": {&good, "no-such-client", clients.ReasonUnknown},
		"for a client of secrets":  {&good, "app", clients.ReasonMethod},
	} {
		t.Run("MT-01 RFC 6749 §5.2 a certificate "+name+" is refused like a wrong secret", func(t *testing.T) {
			r := s.ask(t, s.client(t, one.cert, false), tokP, ask+"&client_id="+one.client)
			refused(t, r, 401, codeInvalidClient)
			require.Equal(t, wrong.body, r.body)
			require.Equal(t, wrong.header["Www-Authenticate"], r.header["Www-Authenticate"])
			require.Eventually(t, func() bool {
				return strings.Contains(f.log.String(), `"claimed_client_id":"`+one.client+`","reason":"`+string(one.reason)+`"`)
			}, 5*time.Second, time.Millisecond)
		})
	}
	c := s.client(t, &good, false)
	t.Run("MT-03 RFC 8705 §2 without client_id", func(t *testing.T) {
		refused(t, s.ask(t, c, tokP, ask), 401, codeInvalidClient)
		refused(t, s.ask(t, c, tokP, ask, authorization("tls-dns:")), 401, codeInvalidClient)
	})
	t.Run("MT-03 RFC 6749 §2.3 a certificate and a secret", func(t *testing.T) {
		refused(t, s.ask(t, c, tokP, ask+"&client_id=tls-dns&client_secret=x"), 401, codeInvalidClient)
		refused(t, s.ask(t, c, tokP, ask, authorization("tls-dns:x")), 401, codeInvalidClient)
		refused(t, s.ask(t, c, tokP, ask+"&client_id=app", authorization("tls-dns:x")), 400, codeInvalidRequest)
	})
	t.Run("MT-01 RFC 6749 §2.3 a certificate does not help who has a secret", func(t *testing.T) {
		require.Equal(t, 200, s.ask(t, c, tokP, ask, authorization(app)).status)
		refused(t, s.ask(t, c, tokP, ask, authorization("app:nonsense")), 401, codeInvalidClient)
	})
	t.Run("MT-07 RFC 8705 §5 metadata", func(t *testing.T) {
		d := f.call(t, "GET", "/.well-known/oauth-authorization-server", "").json
		for _, member := range []string{"token", "introspection", "revocation"} {
			require.Subset(t, d[member+"_endpoint_auth_methods_supported"], []any{"tls_client_auth", "self_signed_tls_client_auth"})
		}
		require.Equal(t, true, d["tls_client_certificate_bound_access_tokens"])
		require.NotContains(t, d, "mtls_endpoint_aliases")
	})
}

func TestMTLSMetadata(t *testing.T) {
	f := start(t, withCertificates(t, certtest.NewCA(t), ""), func(c *Config) { c.MTLSURL, c.Authorities = "https://mtls.example.com", nil })
	d := f.call(t, "GET", "/.well-known/oauth-authorization-server", "").json
	t.Run("MT-07 RFC 8705 §5 aliases", func(t *testing.T) {
		require.Equal(t, map[string]any{"token_endpoint": "https://mtls.example.com/oauth2/token",
			"introspection_endpoint": "https://mtls.example.com/oauth2/introspect", "revocation_endpoint": "https://mtls.example.com/oauth2/revoke",
			"revocation_feed_endpoint": "https://mtls.example.com/oauth2/revocations"}, d["mtls_endpoint_aliases"])
		require.Equal(t, f.URL+"/oauth2/token", d["token_endpoint"])
	})
	t.Run("MT-07 without authorities tls_client_auth is not offered", func(t *testing.T) {
		require.NotContains(t, d["token_endpoint_auth_methods_supported"], "tls_client_auth")
		require.Contains(t, d["token_endpoint_auth_methods_supported"], "self_signed_tls_client_auth")
	})
	t.Run("MT-07 who reads no certificates says nothing of them", func(t *testing.T) {
		text := start(t).call(t, "GET", "/.well-known/oauth-authorization-server", "").body
		require.NotContains(t, text, "tls")
	})
}

func TestSelfSignedClientAuth(t *testing.T) {
	ca := certtest.NewCA(t)
	mine, second := certtest.SelfSigned(t, nil), certtest.SelfSigned(t, nil)
	var published atomic.Pointer[jwt.KeySet]
	published.Store(x5c(t, second))
	page := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(published.Load())
	}))
	defer page.Close()
	roots := x509.NewCertPool()
	roots.AddCert(page.Certificate())
	fetcher := jwt.NewFetcher(jwt.Options{AllowPrivate: true, RootCAs: roots})
	defer fetcher.Close()
	checker, err := assertions.New(assertions.Config{Issuer: "https://auth.example.com", Remote: fetcher,
		Once: func(context.Context, string, time.Duration) (bool, error) { return true, nil }})
	require.NoError(t, err)
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: mine.Leaf.PublicKey}}})
	require.NoError(t, err)
	bare, err := jwt.ParseKeySet(text)
	require.NoError(t, err)
	f := start(t, withCertificates(t, ca, ""), func(c *Config) { c.Assertions = checker }, withRegistrations(t,
		machine("own", clients.MethodSelfSigned, func(r *clients.Registration) { r.JWKS = x5c(t, mine, second) }),
		machine("own-key", clients.MethodSelfSigned, func(r *clients.Registration) { r.JWKS = bare }),
		machine("own-uri", clients.MethodSelfSigned, func(r *clients.Registration) { r.JWKSURI = page.URL }),
		machine("own-gone", clients.MethodSelfSigned, func(r *clients.Registration) { r.JWKSURI = "https://127.0.0.1:1" })))
	s := f.secure(t, true)
	// again is another certificate of the same key
	again := mine
	der, err := x509.CreateCertificate(nil, &x509.Certificate{SerialNumber: mine.Leaf.SerialNumber, Subject: pkix.Name{CommonName: "again"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)}, mine.Leaf, mine.Leaf.PublicKey, mine.PrivateKey)
	require.NoError(t, err)
	again.Certificate = [][]byte{der}
	for id, cert := range map[string]tls.Certificate{"own": mine, "own-key": mine, "own-uri": second} {
		t.Run("MT-02 RFC 8705 §2.2 "+id, func(t *testing.T) {
			r := s.ask(t, s.client(t, &cert, false), tokP, ask+"&client_id="+id)
			require.Equal(t, 200, r.status, r.body)
		})
	}
	t.Run("MT-02 RFC 8705 §2.2 another certificate of a bare key", func(t *testing.T) {
		require.Equal(t, 200, s.ask(t, s.client(t, &again, false), tokP, ask+"&client_id=own-key").status)
	})
	third, ofCA := certtest.SelfSigned(t, nil), ca.Issue(t, nil)
	expired := certtest.SelfSigned(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	for name, one := range map[string]struct {
		cert   *tls.Certificate
		client string
		reason clients.AuthReason
	}{
		"none":                               {nil, "own", clients.ReasonNoCertificate},
		"another":                            {&third, "own", clients.ReasonCertificateUnknown},
		"another, of an authority":           {&ofCA, "own", clients.ReasonCertificateUnknown},
		"another of the key, where x5c says": {&again, "own", clients.ReasonCertificateUnknown},
		"another, at jwks_uri":               {&mine, "own-uri", clients.ReasonCertificateUnknown},
		"expired":                            {&expired, "own", clients.ReasonCertificateExpired},
		"whose keys cannot be fetched":       {&mine, "own-gone", "keys_unavailable"},
	} {
		t.Run("MT-02 RFC 8705 §2.2 refused: "+name, func(t *testing.T) {
			refused(t, s.ask(t, s.client(t, one.cert, false), tokP, ask+"&client_id="+one.client), 401, codeInvalidClient)
			require.Eventually(t, func() bool {
				return strings.Contains(f.log.String(), `"claimed_client_id":"`+one.client+`","reason":"`+string(one.reason)+`"`)
			}, 5*time.Second, time.Millisecond)
		})
	}
}

// laterStore tells another time.
type laterStore struct {
	*flakyStore
	ahead atomic.Int64
}

func (l *laterStore) Now() time.Time { return l.flakyStore.Now().Add(time.Duration(l.ahead.Load())) }

func TestCertificateOfConnection(t *testing.T) {
	ca := certtest.NewCA(t)
	later := &laterStore{}
	f := start(t, withCertificates(t, ca, ""), withRegistrations(t, tlsClients()...), func(c *Config) {
		later.flakyStore = c.Store.(*flakyStore)
		c.Store = later
	})
	good := ca.Issue(t, billing(t))
	for _, http1 := range []bool{true, false} {
		s := f.secure(t, http1)
		later.ahead.Store(0)
		c := s.client(t, &good, false)
		require.Equal(t, 200, s.ask(t, c, tokP, ask+"&client_id=tls-dns").status)
		t.Run("MT-01 a resumed session has its certificate", func(t *testing.T) {
			c.CloseIdleConnections()
			require.Equal(t, 200, s.ask(t, c, tokP, ask+"&client_id=tls-dns").status)
			res, err := c.Get(s.url + "/healthz")
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.True(t, res.TLS.DidResume)
		})
		t.Run("MT-01 S-72 a certificate that expires while the connection is open", func(t *testing.T) {
			later.ahead.Store(int64(2 * time.Hour))
			refused(t, s.ask(t, c, tokP, ask+"&client_id=tls-dns"), 401, codeInvalidClient)
		})
	}
	require.Contains(t, f.log.String(), `"reason":"certificate_expired"`)
}

func TestCertificateHeader(t *testing.T) {
	ca := certtest.NewCA(t)
	good, other := ca.Issue(t, billing(t)), ca.Issue(t, nil)
	header := func(c tls.Certificate) string {
		return "Client-Cert: :" + base64.StdEncoding.EncodeToString(c.Certificate[0]) + ":"
	}
	trusting := start(t, withCertificates(t, ca, "Client-Cert"), withRegistrations(t, tlsClients()...))
	body := ask + "&client_id=tls-dns"
	t.Run("MT-08 RFC 9440 a trusted proxy's header", func(t *testing.T) {
		r := trusting.post(t, tokP, "", body, header(good))
		require.Equal(t, 200, r.status, r.body)
	})
	for name, headers := range map[string][]string{
		"none":                 nil,
		"of another subject":   {header(other)},
		"on two lines":         {header(good), header(good)},
		"two of which one bad": {header(other), header(good)},
		"folded":               {strings.Replace(header(good), "MII", "M II", 1)},
		"encoded twice":        {"Client-Cert: :" + base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString(good.Certificate[0]))) + ":"},
		"without colons":       {"Client-Cert: " + base64.StdEncoding.EncodeToString(good.Certificate[0])},
		"over-long":            {"Client-Cert: :" + strings.Repeat("A", 11000) + ":"},
		"of no authority":      {header(certtest.SelfSigned(t, billing(t)))},
	} {
		t.Run("MT-08 RFC 8705 §6.5 refused: "+name, func(t *testing.T) {
			refused(t, trusting.post(t, tokP, "", body, headers...), 401, codeInvalidClient)
		})
	}
	t.Run("MT-08 the log says why, and holds no certificate", func(t *testing.T) {
		require.Contains(t, trusting.log.String(), `"reason":"certificate_header"`)
		require.Contains(t, trusting.log.String(), "it occurs 2 times")
		require.NotContains(t, trusting.log.String(), base64.StdEncoding.EncodeToString(good.Certificate[0])[:40])
	})
	strange := start(t, withCertificates(t, ca, "Client-Cert"), withRegistrations(t, tlsClients()...), func(c *Config) {
		elsewhere, err := address.ParseNetworks([]string{"192.0.2.1"})
		require.NoError(t, err)
		c.Certificates, err = clientcert.NewSource("Client-Cert", "", elsewhere)
		require.NoError(t, err)
	})
	t.Run("MT-08 S-18 S-70 SB-05 a stranger's header is ignored", func(t *testing.T) {
		refused(t, strange.post(t, tokP, "", body, header(good)), 401, codeInvalidClient)
		require.Contains(t, strange.log.String(), `"reason":"certificate_header_not_trusted"`)
		s := strange.secure(t, true)
		require.Equal(t, 200, s.ask(t, s.client(t, &good, false), tokP, body, header(other)).status, "its own certificate counts")
		refused(t, s.ask(t, s.client(t, &other, false), tokP, body, header(good)), 401, codeInvalidClient)
	})
	t.Run("MT-08 a proxy's own certificate is no client's", func(t *testing.T) {
		s := trusting.secure(t, true)
		refused(t, s.ask(t, s.client(t, &good, false), tokP, body), 401, codeInvalidClient)
		refused(t, s.ask(t, s.client(t, &good, false), tokP, body, header(other)), 401, codeInvalidClient)
	})
}

func TestCertificateLockout(t *testing.T) {
	ca := certtest.NewCA(t)
	f := start(t, withCertificates(t, ca, ""), withRegistrations(t, tlsClients()...), func(c *Config) {
		c.ClientFailures = lockout.NewRateLimit(lockout.NewMemory(), "client", 3, time.Minute)
	})
	s := f.secure(t, true)
	good, other := ca.Issue(t, billing(t)), ca.Issue(t, nil)
	for range 3 {
		refused(t, s.ask(t, s.client(t, &other, false), tokP, ask+"&client_id=tls-dn"), 401, codeInvalidClient)
	}
	t.Run("wrong certificates count like wrong secrets", func(t *testing.T) {
		require.Equal(t, 429, s.ask(t, s.client(t, &other, false), tokP, ask+"&client_id=tls-dn").status)
	})
	t.Run("a right certificate passes all the same", func(t *testing.T) {
		require.Equal(t, 200, s.ask(t, s.client(t, &good, false), tokP, ask+"&client_id=tls-dn").status)
	})
}

// boundTo returns x5t#S256 in cnf of a JWT or of an introspection answer.
func boundTo(t *testing.T, members map[string]any) string {
	t.Helper()
	cnf, ok := members["cnf"].(map[string]any)
	require.True(t, ok, "%v", members)
	require.Len(t, cnf, 1)
	text, _ := cnf["x5t#S256"].(string)
	return text
}

func thumbprintOf(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestCertificateBoundTokens(t *testing.T) {
	ca := certtest.NewCA(t)
	bound := func(r *clients.Registration) { r.CertificateBound = true }
	for format, change := range map[string]func(*Config){"opaque": func(*Config) {}, "JWT": withKeys(t)} {
		f := start(t, withCertificates(t, ca, ""), change, withRegistrations(t,
			machine("bound-tls", clients.MethodTLS, func(r *clients.Registration) { bound(r); r.TLSSANDNS = "billing.example.com" }),
			machine("bound-secret", clients.MethodSecret, func(r *clients.Registration) { bound(r); r.Secrets = secrets("s") })))
		s := f.secure(t, true)
		good, own := ca.Issue(t, billing(t)), certtest.SelfSigned(t, nil)
		for id, one := range map[string]struct {
			cert    tls.Certificate
			body    string
			headers []string
		}{
			"bound-tls":    {good, ask + "&client_id=bound-tls", nil},
			"bound-secret": {own, ask, []string{authorization("bound-secret:s")}},
		} {
			t.Run("MT-04 SB-02 RFC 8705 §3.1 §3.2 "+format+" of "+id, func(t *testing.T) {
				r := s.ask(t, s.client(t, &one.cert, false), tokP, one.body, one.headers...)
				require.Equal(t, 200, r.status, r.body)
				require.Equal(t, "Bearer", r.text("token_type"))
				seen := f.inspect(t, r.text("access_token"))
				require.Equal(t, thumbprintOf(one.cert), boundTo(t, seen.json))
				require.Equal(t, "Bearer", seen.text("token_type"))
				if format == "JWT" {
					_, members := parts(t, r.text("access_token"))
					require.Equal(t, thumbprintOf(one.cert), boundTo(t, members))
				}
			})
		}
		t.Run("MT-04 RFC 8705 §3 "+format+": a request without certificate is refused", func(t *testing.T) {
			refused(t, s.ask(t, s.client(t, nil, false), tokP, ask, authorization("bound-secret:s")), 400, codeInvalidRequest)
			refused(t, f.post(t, tokP, "bound-secret:s", ask), 400, codeInvalidRequest)
			expired := certtest.SelfSigned(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
			refused(t, s.ask(t, s.client(t, &expired, false), tokP, ask, authorization("bound-secret:s")), 400, codeInvalidRequest)
			refused(t, s.ask(t, s.client(t, nil, false), tokP, ask, authorization("bound-secret:nonsense")), 401, codeInvalidClient)
		})
		t.Run("MT-04 "+format+": tokens of others are not bound, whatever certificate comes", func(t *testing.T) {
			r := s.ask(t, s.client(t, &own, false), tokP, ask, authorization(app))
			require.NotContains(t, f.inspect(t, r.text("access_token")).json, "cnf")
		})
	}
}

func TestVerifierOfBoundTokens(t *testing.T) {
	ca := certtest.NewCA(t)
	f := start(t, withCertificates(t, ca, ""), withRegistrations(t, machine("bound", clients.MethodSecret, func(r *clients.Registration) {
		r.CertificateBound, r.Secrets = true, secrets("s")
	})))
	s, own, other := f.secure(t, true), certtest.SelfSigned(t, nil), certtest.SelfSigned(t, nil)
	token := s.ask(t, s.client(t, &own, false), tokP, ask, authorization("bound:s")).text("access_token")
	t.Run("MT-05 S-71 RFC 8705 §3 the verifier beside the server demands a check of the certificate", func(t *testing.T) {
		_, err := f.server.Verifier().Verify(t.Context(), token)
		require.ErrorIs(t, err, middleware.ErrInvalidToken)
		found, err := f.server.Verifier().Verify(middleware.WithHolderCheck(t.Context()), token)
		require.NoError(t, err)
		require.Equal(t, [32]byte(sha256.Sum256(own.Certificate[0])), found.Confirmation.CertificateThumbprint)
	})
	t.Run("MT-05 RFC 8705 §3 a guard over the verifier, as that of the admin listener", func(t *testing.T) {
		guard, err := middleware.New(middleware.Config{Verifier: f.server.Verifier(), ClientCertificate: f.server.leafOf})
		require.NoError(t, err)
		g := gin.New()
		g.GET("/", guard.Authenticate(), func(c *gin.Context) { c.Status(204) })
		for cert, want := range map[*tls.Certificate]int{&own: 204, &other: 401, nil: 401} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			if cert != nil {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert.Leaf}}
			}
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			require.Equal(t, want, w.Code)
		}
	})
}

func TestCertificateBoundSessions(t *testing.T) {
	ca := certtest.NewCA(t)
	mobile := clients.Registration{ID: "bound-app", Method: clients.MethodNone, CertificateBound: true,
		Grants: []string{clients.GrantPassword, clients.GrantRefreshToken}, Scope: "plain grantor:sessions", DefaultScope: "plain"}
	backend := mobile
	backend.ID, backend.Method, backend.Secrets = "bound-backend", clients.MethodSecret, secrets("s")
	f, _ := startPeople(t, withCertificates(t, ca, ""))
	for _, r := range []clients.Registration{mobile, backend} {
		c, err := r.Client()
		require.NoError(t, err)
		require.NoError(t, c.Check(testCatalogue()))
		f.clients = append(f.clients, c)
	}
	s := f.secure(t, true)
	mine, other := certtest.SelfSigned(t, nil), certtest.SelfSigned(t, nil)
	login := "grant_type=password&username=ada&password=" + url.QueryEscape(adaPassword) + "&client_id=bound-app"
	withMine, withOther := s.client(t, &mine, false), s.client(t, &other, false)
	t.Run("MT-06 a login without certificate is refused", func(t *testing.T) {
		refused(t, s.ask(t, s.client(t, nil, false), tokP, login), 400, codeInvalidRequest)
	})
	first := s.ask(t, withMine, tokP, login)
	require.Equal(t, 200, first.status, first.body)
	again := "grant_type=refresh_token&client_id=bound-app&refresh_token=" + first.text("refresh_token")
	t.Run("MT-06 RFC 8705 §4 a stolen refresh token: another certificate, no effect", func(t *testing.T) {
		refused(t, s.ask(t, withOther, tokP, again), 400, codeInvalidGrant)
		refused(t, s.ask(t, s.client(t, nil, false), tokP, again), 400, codeInvalidRequest)
	})
	t.Run("MT-06 RFC 8705 §4 its owner refreshes afterwards, and a retry gets the same pair", func(t *testing.T) {
		second := s.ask(t, withMine, tokP, again)
		require.Equal(t, 200, second.status, second.body)
		require.Equal(t, thumbprintOf(mine), boundTo(t, f.inspect(t, second.text("access_token")).json))
		require.Equal(t, second.text("refresh_token"), s.ask(t, withMine, tokP, again).text("refresh_token"))
	})
	t.Run("MT-06 the refresh tokens of a confidential client are bound to the client", func(t *testing.T) {
		body := strings.TrimSuffix(login, "&client_id=bound-app")
		r := s.ask(t, withMine, tokP, body, authorization("bound-backend:s"))
		require.Equal(t, 200, r.status, r.body)
		r = s.ask(t, withOther, tokP, "grant_type=refresh_token&refresh_token="+r.text("refresh_token"), authorization("bound-backend:s"))
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, thumbprintOf(other), boundTo(t, f.inspect(t, r.text("access_token")).json))
	})
	t.Run("MT-06 RT-11 a remembered session that a refresh bound meanwhile stays bound, also when the client's binding ends", func(t *testing.T) {
		switched := mobile
		switched.ID, switched.CertificateBound = "switched-app", false
		c, err := switched.Client()
		require.NoError(t, err)
		f.clients = append(f.clients, c)
		refresh := func(as *http.Client, token string) reply {
			return s.ask(t, as, tokP, "grant_type=refresh_token&client_id=switched-app&refresh_token="+token)
		}
		unbound := s.client(t, nil, false)
		token := s.ask(t, unbound, tokP, strings.Replace(login, "bound-app", "switched-app", 1)).text("refresh_token")
		token = refresh(unbound, token).text("refresh_token")
		require.NotEmpty(t, token, "remembered without a binding")
		c.CertificateBound = true
		token = refresh(withMine, token).text("refresh_token")
		require.NotEmpty(t, token, "bound")
		c.CertificateBound = false
		last := refresh(withMine, token)
		require.Equal(t, 200, last.status, last.body)
		refused(t, refresh(unbound, last.text("refresh_token")), 400, codeInvalidGrant)
		refused(t, refresh(withOther, last.text("refresh_token")), 400, codeInvalidGrant)
		require.Equal(t, 200, refresh(withMine, last.text("refresh_token")).status)
	})
	t.Run("MT-05 S-71 RFC 8705 §3 our own endpoint: a stolen access token", func(t *testing.T) {
		in := s.ask(t, withMine, tokP, login+"&scope=plain+grantor:sessions")
		require.Equal(t, 200, in.status, in.body)
		own := s.ask(t, withMine, tokP, "grant_type=refresh_token&client_id=bound-app&scope=grantor:sessions&refresh_token="+in.text("refresh_token")).text("access_token")
		status := func(c *http.Client) int {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+pathSessions, nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+own)
			res, err := c.Do(req)
			require.NoError(t, err)
			defer res.Body.Close()
			if res.StatusCode == 401 {
				require.Contains(t, res.Header.Get("WWW-Authenticate"), `error="invalid_token"`)
			}
			return res.StatusCode
		}
		require.Equal(t, 200, status(withMine))
		require.Equal(t, 401, status(withOther))
		require.Equal(t, 401, status(s.client(t, nil, false)))
	})
}
