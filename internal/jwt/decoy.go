package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
)

// Decoy has keys without an owner. Verifying a refused token with one costs the time of a real
// verification, so time does not reveal whether there was a key.
type Decoy struct {
	rsa    map[int]*rsa.PublicKey // by the bytes of a signature
	others []publicKey
}

// NewDecoy draws the keys.
func NewDecoy() (*Decoy, error) {
	d := &Decoy{rsa: map[int]*rsa.PublicKey{}}
	for _, size := range []int{256, 384, 512} {
		n := make([]byte, size)
		_, _ = rand.Read(n) // never fails
		for i := range 8 {
			n[i] = 0xff // above every signature, or the comparison with it would end the work
		}
		n[size-1] |= 1
		d.rsa[size] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537} // no primes are known, and none are needed
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			return nil, err
		}
		d.others = append(d.others, publicKey{public: &k.PublicKey})
	}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	d.others = append(d.others, publicKey{public: public})
	return d, err
}

// Spend verifies the token's signature by a key that fits and forgets the answer.
func (d *Decoy) Spend(u *Unverified) {
	if u.nullSignature() {
		return
	}
	if public := d.keyFor(u); public != nil {
		u.signedBy(public)
	}
}

func (d *Decoy) keyFor(u *Unverified) any {
	for i := range d.others {
		if d.others[i].fits(u.header.Algorithm) {
			return d.others[i].public
		}
	}
	if k := d.rsa[len(u.signature)]; k != nil {
		return k
	}
	return d.rsa[256]
}
