package jwt

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"time"
)

// HasCertificate says whether a certificate is in the set (RFC 8705 §2.2.2): as the first of a
// key's x5c; or, of a key without x5c, as the certificate of that key.
func (s *KeySet) HasCertificate(c *x509.Certificate, now time.Time) bool {
	public, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	for i := range s.keys {
		k := &s.keys[i]
		switch {
		case !ok || k.over(now) || !public.Equal(k.public):
		case len(k.certificates) == 0, bytes.Equal(k.certificates[0].Raw, c.Raw):
			return true
		}
	}
	return false
}
