package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // links what hashOf names
	_ "crypto/sha512"
	"math/big"
	"strings"
)

// signedBy holds the signature against one key, whose kind is known to fit alg.
func (u *Unverified) signedBy(public any) bool {
	switch k := public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, []byte(u.input), u.signature)
	case *ecdsa.PublicKey:
		return u.signedByECDSA(k)
	case *rsa.PublicKey:
		return u.signedByRSA(k)
	}
	return false
}

// signedByECDSA reads r and s, which are of one length (RFC 7518 §3.4); nullSignature has checked
// it.
func (u *Unverified) signedByECDSA(k *ecdsa.PublicKey) bool {
	half := len(u.signature) / 2
	r, s := new(big.Int).SetBytes(u.signature[:half]), new(big.Int).SetBytes(u.signature[half:])
	return ecdsa.Verify(k, u.digest(), r, s)
}

// signedByRSA knows RSASSA-PKCS1-v1_5 (RFC 7518 §3.3) and RSASSA-PSS (RFC 7518 §3.5).
func (u *Unverified) signedByRSA(k *rsa.PublicKey) bool {
	if strings.HasPrefix(u.header.Algorithm, "PS") {
		return rsa.VerifyPSS(k, hashOf(u.header.Algorithm), u.digest(), u.signature, nil) == nil
	}
	return rsa.VerifyPKCS1v15(k, hashOf(u.header.Algorithm), u.digest(), u.signature) == nil
}

// digest is the hash of what was signed (RFC 7515 §5.2).
func (u *Unverified) digest() []byte {
	h := hashOf(u.header.Algorithm).New()
	h.Write([]byte(u.input))
	return h.Sum(nil)
}

// hashOf returns the hash function that alg names by its last three digits.
func hashOf(alg string) crypto.Hash {
	switch alg[2:] {
	case "384":
		return crypto.SHA384
	case "512":
		return crypto.SHA512
	}
	return crypto.SHA256
}
