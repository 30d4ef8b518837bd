package gate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Key signs identity tokens.
type Key struct {
	id        string // RFC 7638 thumbprint by SHA-256, base64url
	algorithm jose.SignatureAlgorithm
	private   crypto.Signer
}

// GenerateKey makes a key for "ES256" or "EdDSA". It is lost with the process.
func GenerateKey(algorithm string) (Key, error) {
	switch jose.SignatureAlgorithm(algorithm) {
	case jose.ES256:
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return Key{}, err
		}
		return newKey(private)
	case jose.EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return Key{}, err
		}
		return newKey(private)
	}
	return Key{}, errors.New("the algorithm of identity tokens is ES256 or EdDSA")
}

// ReadKey reads a private key in PEM, as "openssl genpkey" writes it. The key decides the
// algorithm: P-256 is ES256, Ed25519 is EdDSA.
func ReadKey(text []byte) (Key, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return Key{}, errors.New("there is no key in PEM; " +
			"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 makes one")
	}
	switch block.Type {
	case "PRIVATE KEY":
		private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return Key{}, errors.New("the PEM holds no PKCS #8 key that can be read")
		}
		return newKey(private)
	case "EC PRIVATE KEY":
		private, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			return Key{}, errors.New("the PEM holds no EC key that can be read")
		}
		return newKey(private)
	}
	return Key{}, fmt.Errorf("the PEM is a %.40q, not a PRIVATE KEY", block.Type)
}

func newKey(private any) (Key, error) {
	k := Key{}
	switch p := private.(type) {
	case *ecdsa.PrivateKey:
		if p.Curve != elliptic.P256() {
			return k, errors.New("the key is on another curve than P-256, which ES256 needs (RFC 7518 §3.4)")
		}
		k.algorithm, k.private = jose.ES256, p
	case ed25519.PrivateKey:
		k.algorithm, k.private = jose.EdDSA, p
	default:
		return k, errors.New("the key is neither P-256 (ES256) nor Ed25519 (EdDSA)")
	}
	j := jose.JSONWebKey{Key: k.private.Public()}
	sum, err := j.Thumbprint(crypto.SHA256)
	k.id = base64.RawURLEncoding.EncodeToString(sum)
	return k, err
}
