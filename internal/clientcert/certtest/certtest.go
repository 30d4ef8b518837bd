// Package certtest makes certificates of clients for tests.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// CA is a certificate authority.
type CA struct{ pair tls.Certificate }

// NewCA returns an authority of its own.
func NewCA(t testing.TB) *CA {
	t.Helper()
	return &CA{SelfSigned(t, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "authority of a test"}
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		c.ExtKeyUsage = nil
	})}
}

// PEM returns the authority's certificate.
func (ca *CA) PEM() []byte { return PEM(ca.pair) }

// File writes the authority's certificate, and returns the file.
func (ca *CA) File(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(name, ca.PEM(), 0o600))
	return name
}

// Under returns an authority of a name that this one has signed.
func (ca *CA) Under(t testing.TB, name string) *CA {
	t.Helper()
	return &CA{ca.Issue(t, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})}
}

// Leaf is the authority's certificate.
func (ca *CA) Leaf() *x509.Certificate { return ca.pair.Leaf }

// Issue returns a certificate for clients, which edit may change.
func (ca *CA) Issue(t testing.TB, edit func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	return issue(t, edit, &ca.pair)
}

// SelfSigned returns a certificate that no authority issued.
func SelfSigned(t testing.TB, edit func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	return issue(t, edit, nil)
}

func issue(t testing.TB, edit func(*x509.Certificate), by *tls.Certificate) tls.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "client of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if edit != nil {
		edit(template)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	parent, signer := template, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// PEM returns the certificate of a pair.
func PEM(pair tls.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
}

// Files writes a pair, and returns its files.
func Files(t testing.TB, pair tls.Certificate) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cert, PEM(pair), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	return cert, key
}
