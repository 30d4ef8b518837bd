package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// certificate makes a certificate for 127.0.0.1 that signs itself, and returns the files of certificate
// and key.
func (s *Server) certificate() (cert, key string) {
	s.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redistest"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	s.must(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	s.must(err)
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	s.CAFile = s.write("cert.pem", block("CERTIFICATE", der))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(block("CERTIFICATE", der)))
	s.tls = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return s.CAFile, s.write("key.pem", block("PRIVATE KEY", keyDER))
}
