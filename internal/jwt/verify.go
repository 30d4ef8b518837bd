package jwt

import "context"

// Verify checks the signature by the keys of src and returns the claims, of which nothing is
// checked yet. It returns NoKey or BadSignature, or src's error, which is no TokenError.
func (u *Unverified) Verify(ctx context.Context, src Source) (*Claims, error) {
	if _, err := u.Prove(ctx, src); err != nil {
		return nil, err
	}
	return u.claims, nil
}

// Claims returns the claims of a token that Prove proved. Nothing of them is checked yet.
func (u *Unverified) Claims(Proof) *Claims { return u.claims }

// nullSignature finds ECDSA signatures with r = 0 or s = 0, which good implementations refuse and
// CVE-2022-21449 did not, and those of the wrong length (RFC 7518 §3.4).
func (u *Unverified) nullSignature() bool {
	n := 0
	switch u.header.Algorithm {
	case "ES256":
		n = 32
	case "ES384":
		n = 48
	case "ES512":
		n = 66
	default:
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
