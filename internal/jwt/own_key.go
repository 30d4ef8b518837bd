package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"slices"

	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/internal/jws"
)

// maxOwnRSABits bounds what a stranger's key may cost, in bits.
const maxOwnRSABits = 4096

// Thumbprint names a public key: SHA-256 as RFC 7638 §3 has it. The zero value names none.
type Thumbprint [sha256.Size]byte

// ownKey is the key that a proof of possession brings.
type ownKey struct {
	public     any // as in publicKey
	thumbprint Thumbprint
}

// Thumbprint names the key in jwk of a token that was parsed with Profile.OwnKey. Only after
// ProveOwn is it known that the sender has the private half.
func (u *Unverified) Thumbprint() Thumbprint { return u.own.thumbprint }

// ProveOwn verifies the signature by the key that the token itself brings, and returns the claims,
// which vouch for nothing but that key. It returns BadSignature otherwise.
func (u *Unverified) ProveOwn() (*Claims, error) {
	if u.own.public == nil || u.nullSignature() || !u.signedBy(u.own.public) {
		return nil, BadSignature
	}
	return u.claims, nil
}

// parseOwnKey reads jwk. Its thumbprint is made of the text itself, which has one spelling.
func parseOwnKey(h jws.Header) (k ownKey, err error) {
	members, err := jsonobject.Read(h.Key)
	if err != nil {
		return k, NoOwnKey
	}
	kty, err := members.Text("kty")
	if err != nil || kty == "oct" {
		return k, NoOwnKey
	}
	if public(members) != nil {
		return k, PrivateKey
	}
	switch kty {
	case "EC":
		k, err = ellipticKey(members)
	case "OKP":
		k, err = edwardsKey(members)
	case "RSA":
		k, err = rsaKey(members)
	default:
		return k, NoOwnKey
	}
	if fitting := (&publicKey{public: k.public}); err == nil && !fitting.fits(h.Algorithm) {
		return ownKey{}, BadAlgorithm // RFC 8725 §3.1
	}
	return k, err
}

// bytesOf returns a required member that is base64url.
func bytesOf(o jsonobject.Members, name string) (text string, value []byte, err error) {
	if text, err = o.Text(name); err != nil {
		return "", nil, NoOwnKey
	}
	if value, err = jws.Decode(text); err != nil {
		return "", nil, NoOwnKey
	}
	return text, value, nil
}

// ellipticKey reads RFC 7518 §6.2.1. x and y have the full length of the curve, so that a point has
// one spelling.
func ellipticKey(o jsonobject.Members) (k ownKey, err error) {
	crv, err := o.Text("crv")
	if err != nil {
		return k, NoOwnKey
	}
	curve := curveOf(crv)
	xText, x, xErr := bytesOf(o, "x")
	yText, y, yErr := bytesOf(o, "y")
	if curve == nil || xErr != nil || yErr != nil || len(x) != len(y) {
		return k, NoOwnKey
	}
	point := append(append(append(make([]byte, 0, 1+2*len(x)), 4), x...), y...) // SEC 1 §2.3.3
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return k, NoOwnKey
	}
	return ownKey{key, thumbprintOf("crv", crv, "kty", "EC", "x", xText, "y", yText)}, nil
}

func curveOf(crv string) elliptic.Curve {
	switch crv {
	case "P-256":
		return elliptic.P256()
	case "P-384":
		return elliptic.P384()
	case "P-521":
		return elliptic.P521()
	}
	return nil
}

// edwardsKey reads RFC 8037 §2.
func edwardsKey(o jsonobject.Members) (k ownKey, err error) {
	crv, err := o.Text("crv")
	text, x, xErr := bytesOf(o, "x")
	if err != nil || crv != "Ed25519" || xErr != nil || len(x) != ed25519.PublicKeySize {
		return k, NoOwnKey
	}
	return ownKey{ed25519.PublicKey(x), thumbprintOf("crv", crv, "kty", "OKP", "x", text)}, nil
}

// rsaKey reads RFC 7518 §6.3.1. Numbers have no zeros in front (RFC 7518 §2, Base64urlUInt).
func rsaKey(o jsonobject.Members) (k ownKey, err error) {
	nText, n, nErr := bytesOf(o, "n")
	eText, e, eErr := bytesOf(o, "e")
	if nErr != nil || eErr != nil || n[0] == 0 || e[0] == 0 || len(e) > 4 {
		return k, NoOwnKey
	}
	key := publicKey{public: &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}}
	if len(n)*8 > maxOwnRSABits || key.check() != nil {
		return k, WeakOwnKey
	}
	return ownKey{key.public, thumbprintOf("e", eText, "kty", "RSA", "n", nText)}, nil
}

// thumbprintOf hashes the required members in the order of their names (RFC 7638 §3.2). The values
// are base64url or names, which JSON writes as they are.
func thumbprintOf(pairs ...string) Thumbprint {
	o := make(jsonobject.Object, 0, 1<<10)
	for pair := range slices.Chunk(pairs, 2) {
		o = o.Text(pair[0], pair[1])
	}
	return sha256.Sum256(o.Close())
}
