package jwt

import (
	"context"
	"fmt"
)

// Verify checks the signature by the keys of src and returns the claims, of which nothing is checked yet. It returns
// NoKey or BadSignature, or src's error, which is no TokenError.
func (u *Unverified) Verify(ctx context.Context, src Source) (*Claims, error) {
	if u.nullSignature() {
		return nil, BadSignature
	}
	set, err := src.Keys(ctx, u.header.KeyID)
	if err != nil {
		return nil, fmt.Errorf("the keys cannot be had: %w", err)
	}
	keys := set.candidates(u.header, u.now())
	if len(keys) == 0 {
		return nil, NoKey
	}
	for _, public := range keys {
		if u.signedBy(public) {
			return u.claims, nil
		}
	}
	return nil, BadSignature
}

// nullSignature finds ECDSA signatures with r = 0 or s = 0, which good implementations refuse and CVE-2022-21449 did
// not, and those of the wrong length (RFC 7518 §3.4).
func (u *Unverified) nullSignature() bool {
	n := map[string]int{"ES256": 32, "ES384": 48, "ES512": 66}[u.header.Algorithm]
	if n == 0 {
		return false
	}
	return len(u.signature) != 2*n || allZero(u.signature[:n]) || allZero(u.signature[n:])
}

func allZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
