package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
)

// FetchX509SVID answers with an X.509-SVID of the workload and its key.
func (d *trustDomain) FetchX509SVID(_ *workload.X509SVIDRequest, stream grpc.ServerStreamingServer[workload.X509SVIDResponse]) error {
	id := d.name.IDString() + d.workload
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	uri, err := url.Parse(id)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), URIs: []*url.URL{uri}, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	svid, err := x509.CreateCertificate(rand.Reader, leaf, d.root, key.Public(), d.rootKey)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	err = stream.Send(&workload.X509SVIDResponse{Svids: []*workload.X509SVID{{SpiffeId: id, X509Svid: svid, X509SvidKey: private, Bundle: d.root.Raw}}})
	<-stream.Context().Done()
	return err
}

// serveTLS starts Grantor with TLS of its own, which trusts the authority of the trust domain for
// certificates of clients.
func serveTLS(t *testing.T, d *trustDomain) (*grantor, *x509.CertPool) {
	t.Helper()
	dir, address := t.TempDir(), freeAddress(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	own := &x509.Certificate{SerialNumber: big.NewInt(3), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Minute),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	certificate, err := x509.CreateCertificate(rand.Reader, own, own, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return file
	}
	text := "issuer = \"https://" + address + "\"\nlisten = \"" + address + "\"\nstore = \"memory\"\nlog.format = \"json\"\n[tls]\nmode = \"files\"\n" +
		"cert_file = \"" + write("cert.pem", "CERTIFICATE", certificate) + "\"\nkey_file = \"" + write("key.pem", "PRIVATE KEY", private) + "\"\n" +
		"client_ca_file = \"" + write("svids.pem", "CERTIFICATE", d.root.Raw) + "\"\n" + `
[scopes]
"orders:read" = {}
[[clients]]
client_id = "spiffe://example.org/billing"
token_endpoint_auth_method = "tls_client_auth"
tls_client_auth_san_uri = "spiffe://example.org/billing"
grant_types = ["client_credentials"]
scope = "orders:read"
`
	roots := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(certificate)
	require.NoError(t, err)
	roots.AddCert(parsed)
	plain := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	return start(t, "https://"+address, text, plain), roots
}

// TestGoSPIFFEX509 gets tokens with X.509-SVIDs that go-spiffe fetches and presents.
func TestGoSPIFFEX509(t *testing.T) {
	d := newTrustDomain(t, "example.org")
	g, roots := serveTLS(t, d)
	ask := func(t *testing.T, from *trustDomain) *http.Response {
		t.Helper()
		from.serveAgent(t)
		source, err := workloadapi.NewX509Source(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, source.Close()) }()
		// draft-ietf-oauth-spiffe-client-auth §3.2: the server's certificate is none of SPIFFE
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{RootCAs: roots, GetClientCertificate: tlsconfig.GetClientCertificate(source)}}}
		res, err := client.PostForm(g.issuer+"/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"},
			"client_id": {"spiffe://example.org/billing"}})
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res
	}
	t.Run("SV-11 MT-01 an X.509-SVID gets a token: draft-ietf-oauth-spiffe-client-auth §3.2", func(t *testing.T) {
		require.Equal(t, 200, ask(t, d).StatusCode, g.log)
	})
	t.Run("SV-11 MT-01 another workload of the trust domain is refused", func(t *testing.T) {
		d.workload = "/shipping"
		defer func() { d.workload = "/billing" }()
		require.Equal(t, 401, ask(t, d).StatusCode, g.log)
	})
	t.Run("SV-11 MT-01 the same SPIFFE ID of another authority is refused", func(t *testing.T) {
		require.Equal(t, 401, ask(t, newTrustDomain(t, "example.org")).StatusCode, g.log)
	})
	t.Run("S-30 no certificate is in the log", func(t *testing.T) {
		require.False(t, strings.Contains(g.log.String(), "BEGIN CERTIFICATE"))
	})
}
