package clientcert

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
)

// Bounds of what a header may hold.
const (
	maxDER     = 8 << 10 // bytes of one certificate
	maxListed  = 8       // certificates
	maxRSABits = 8192    // as crypto/tls has it: more is slow to verify
)

// parse reads certificates in DER; the client's own is the first.
func parse(list [][]byte) (p Presented, err error) {
	if len(list) == 0 || len(list) > maxListed {
		return p, unusable("it holds %d certificates, not 1 to %d", len(list), maxListed)
	}
	for i, der := range list {
		if len(der) > maxDER {
			return p, unusable("a certificate is longer than %d bytes", maxDER)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return p, unusable("certificate %d is no X.509 certificate", i+1)
		}
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
			return p, unusable("certificate %d has an RSA key of more than %d bits", i+1, maxRSABits)
		}
		if i == 0 {
			p.Leaf = c
		} else {
			p.Chain = append(p.Chain, c)
		}
	}
	return p, nil
}

// fromBase64 reads base64 with its padding and nothing else (RFC 4648 §4).
func fromBase64(text string) ([]byte, error) {
	if base64.StdEncoding.DecodedLen(len(text)) > maxDER+3 {
		return nil, unusable("a certificate is longer than %d bytes", maxDER)
	}
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(der) == 0 || strings.ContainsAny(text, "\r\n") {
		return nil, unusable("it is not base64 of one certificate in DER")
	}
	return der, nil
}

// fromPEM reads certificates in PEM as programs write it (RFC 7468 §3, the strict form): nothing
// stands before, between or after them.
func fromPEM(text string) (list [][]byte, err error) {
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	for text != "" {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) > 0 || len(list) == maxListed ||
			text[:len(text)-len(rest)] != string(pem.EncodeToMemory(block)) {
			return nil, unusable("it is not PEM of 1 to %d certificates, and nothing else", maxListed)
		}
		list = append(list, block.Bytes)
		text = strings.TrimLeft(string(rest), "\n")
	}
	return list, nil
}
