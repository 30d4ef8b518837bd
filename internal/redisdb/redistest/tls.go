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

// authority signs the certificates of a server and of its clients.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// certificate makes a certificate for 127.0.0.1 that signs itself, and returns the files of
// certificate and key.
func (s *Server) certificate() (cert, key string) {
	s.t.Helper()
	template := s.template("redistest "+s.Addr, 24*time.Hour)
	template.IPAddresses, template.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"localhost"}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage |= x509.KeyUsageCertSign
	s.ca = &authority{certificate: template}
	s.CAFile, key = s.sign(template, "cert.pem", "key.pem")
	pair, err := tls.LoadX509KeyPair(s.CAFile, key)
	s.must(err)
	roots := x509.NewCertPool()
	roots.AddCert(pair.Leaf)
	s.tls = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	return s.CAFile, key
}

// ClientCertificate makes a certificate for a client, good for a while, and returns the files of
// certificate and key. Another one of the same name is written over the first.
func (s *Server) ClientCertificate(name string, life time.Duration) (cert, key string) {
	s.t.Helper()
	return s.sign(s.template(name, life), name+".pem", name+"-key.pem")
}

func (s *Server) template(name string, life time.Duration) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func (s *Server) sign(template *x509.Certificate, certName, keyName string) (cert, key string) {
	s.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	if s.ca.key == nil {
		s.ca.key = k
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.ca.certificate, k.Public(), s.ca.key)
	s.must(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	s.must(err)
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return s.write(certName, block("CERTIFICATE", der)), s.write(keyName, block("PRIVATE KEY", keyDER))
}
