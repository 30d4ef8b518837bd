package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/doctor"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/node"
	"github.com/grantor-auth/grantor/users"
)

// authority signs certificates of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

// newAuthority makes an authority; edit changes its certificate.
func newAuthority(t *testing.T, edit func(*x509.Certificate)) *authority {
	t.Helper()
	a := &authority{t: t}
	template := template("an authority of the test")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	template.DNSNames, template.IPAddresses = nil, nil
	if edit != nil {
		edit(template)
	}
	a.cert = template
	var text []byte
	text, a.key = a.sign(template)
	a.file = a.write("ca.pem", text)
	block, _ := pem.Decode(text)
	var err error
	a.cert, err = x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return a
}

var serial atomic.Int64

func template(name string) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(365 * 24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
}

// sign makes a key, and its certificate by the authority: the first signs itself.
func (a *authority) sign(template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	by := a.key
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), by)
	require.NoError(a.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key
}

func (a *authority) write(name string, text []byte) string {
	a.t.Helper()
	file := filepath.Join(a.t.TempDir(), name)
	require.NoError(a.t, os.WriteFile(file, text, 0o600))
	return file
}

// pair makes files of a certificate and its key. More PEM may stand behind the certificate.
func (a *authority) pair(edit func(*x509.Certificate), behind ...[]byte) (cert, key string) {
	a.t.Helper()
	template := template("a server of the test")
	if edit != nil {
		edit(template)
	}
	text, private := a.sign(template)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(a.t, err)
	for _, more := range behind {
		text = append(text, more...)
	}
	return a.write("tls.crt", text), a.write("tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// tls is what a server of the test serves with.
func (a *authority) tls(edit func(*x509.Certificate)) *tls.Config {
	a.t.Helper()
	cert, key := a.pair(edit)
	pair, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(a.t, err)
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

// deployment is a sound configuration, and what a test changes in it.
type deployment struct {
	t    *testing.T
	ca   *authority
	text string // of config.toml
	o    doctor.Options
}

var prefixes atomic.Int64

// sound makes a configuration in which nothing is wrong. Each has a prefix of its own in Redis.
func sound(t *testing.T, url string) *deployment {
	t.Helper()
	d := &deployment{t: t, ca: newAuthority(t, nil)}
	d.o.CAFile = d.ca.file
	cert, key := d.ca.pair(nil)
	port := redistest.FreePort(t)
	d.text = fmt.Sprintf(`issuer = "https://localhost:%s"
listen = "127.0.0.1:%s"
store = "redis"
[server]
shutdown_delay = "0s"
[tls]
mode = "files"
cert_file = %q
key_file = %q
# more tls
[redis]
url = %q
prefix = "test%d:"
# more redis
[keys]
encryption_key = "0123456789abcdefghijklmnopqrstuvwxyz"
[tokens]
access_ttl = "15m"
# more tokens
[limits]
window = "15m"
# more limits
[scopes]
"orders:read" = { description = "Read orders", resource = "https://orders.example.com" }
"orders:write" = { description = "Change orders", resource = "https://orders.example.com" }
# more scopes
[[clients]]
client_id = "job"
grant_types = ["client_credentials"]
scope = "orders:read orders:write"
secrets = [{ hash = "sha256:1111111111111111111111111111111111111111111111111111111111111111" }]
[[clients]]
client_id = "api"
resource = "https://orders.example.com"
introspect = "audience"
secrets = [{ hash = "sha256:2222222222222222222222222222222222222222222222222222222222222222" }]
# more clients
# more users
`, port, port, cert, key, url, prefixes.Add(1))
	return d
}

// withUsers adds the password grant, an app and a user. A start warns of that grant.
func (d *deployment) withUsers() {
	d.t.Helper()
	hash, err := users.Hash("correct horse battery staple")
	require.NoError(d.t, err)
	d.set("[limits]", "[grants]\npassword = true\n[limits]")
	d.set("# more clients", `[[clients]]
client_id = "app"
token_endpoint_auth_method = "none"
grant_types = ["password", "refresh_token"]
scope = "orders:read"
dpop_bound_access_tokens = true
# more clients`)
	d.set("# more users", fmt.Sprintf(`[users]
source = "config"
[[users.config]]
id = "u-1"
username = "ada"
password_hash = %q
scope = "orders:read"
# more users`, hash))
}

// set puts a text in the place of another, which must be there.
func (d *deployment) set(old, text string) {
	d.t.Helper()
	require.Contains(d.t, d.text, old)
	d.text = strings.Replace(d.text, old, text, 1)
}

// value returns what a key is set to.
func (d *deployment) value(key string) string {
	_, rest, _ := strings.Cut(d.text, "\n"+key+" = \"")
	value, _, _ := strings.Cut(rest, "\"\n")
	return value
}

// issuer returns the issuer's URL.
func (d *deployment) issuer() string {
	value, _, _ := strings.Cut(strings.TrimPrefix(d.text, "issuer = \""), "\"\n")
	return value
}

// certificate puts another certificate in the place of the sound one.
func (d *deployment) certificate(edit func(*x509.Certificate), behind ...[]byte) {
	cert, key := d.ca.pair(edit, behind...)
	d.set(d.value("cert_file"), cert)
	d.set(d.value("key_file"), key)
}

// read reads the configuration as the command does.
func (d *deployment) read() (*config.Config, []string, config.Errors) {
	d.t.Helper()
	file := filepath.Join(d.t.TempDir(), "config.toml")
	require.NoError(d.t, os.WriteFile(file, []byte(d.text), 0o600))
	return config.Read(config.Options{Path: file})
}

func (d *deployment) run() doctor.Report {
	d.t.Helper()
	cfg, warnings, problems := d.read()
	return doctor.Run(d.t.Context(), cfg, warnings, problems, d.o)
}

// serve runs a node of the configuration until the test ends.
func (d *deployment) serve() *node.Node {
	d.t.Helper()
	cfg, _, problems := d.read()
	require.Empty(d.t, problems)
	listening := make(chan struct{})
	n, err := node.Open(d.t.Context(), cfg, node.Options{Log: slog.New(slog.DiscardHandler), Version: "test", Stdout: io.Discard,
		Listening: func(node.Addrs) { close(listening) }})
	require.NoError(d.t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	d.t.Cleanup(func() {
		stop()
		require.NoError(d.t, <-ended)
		n.Close()
	})
	select {
	case <-listening:
	case err := <-ended:
		ended <- err
		require.NoError(d.t, err)
	}
	return n
}

// of returns the findings of a check.
func of(r doctor.Report, id string) []doctor.Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f doctor.Finding) bool { return f.ID != id })
}

// notable returns the findings that are not ok, each as "level id".
func notable(r doctor.Report) (list []string) {
	for _, f := range r.Findings {
		if f.Level != doctor.OK {
			list = append(list, string(f.Level)+" "+f.ID)
		}
	}
	return list
}
