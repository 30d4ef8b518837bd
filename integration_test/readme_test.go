package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestReadme plays the terminal session of the README as it is printed: the lines that begin with
// $, against what stands below each, where … stands for anything.
func TestReadme(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not on PATH")
	}
	session := consoleOf(t, "../README.md", "TestReadme")

	// The demo's clients work under the shipped configuration only; the port is ours.
	addr := freeAddr(t)
	grantor := run(t, built(t, module), []string{"GRANTOR_CONFIG=" + absolute(t, "../config.toml"), "GRANTOR_ISSUER=http://" + addr}, "--listen", addr)
	secret := regexp.MustCompile(`GRANTOR_CLIENT_SECRET=(gcs_\w+)`).FindStringSubmatch(session)
	require.NotNil(t, secret)
	api := run(t, built(t, module+"/examples/orders-api"), []string{"GRANTOR_CLIENT_ID=demo-api", "GRANTOR_CLIENT_SECRET=" + secret[1]},
		"--issuer", grantor.URL, "--listen", "127.0.0.1:0")

	here := strings.NewReplacer("http://127.0.0.1:8080", grantor.URL, "http://127.0.0.1:8081", api.URL)
	playConsole(t, session, here, func(command string) bool { // the programs run already
		return strings.HasPrefix(command, "git clone") || strings.HasPrefix(command, "go run") || strings.Contains(command, "go run ./examples")
	})
	require.GreaterOrEqual(t, strings.Count(session, "\n$ "), 5)
}

// freeAddr finds a port that is free now.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	full, err := filepath.Abs(name)
	require.NoError(t, err)
	return full
}

// certificate makes a certificate for localhost.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, Subject: pkix.Name{CommonName: "localhost"}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	cert, key = filepath.Join(t.TempDir(), "c.pem"), filepath.Join(t.TempDir(), "k.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	return cert, key
}
