package jwt

import (
	"context"
	"crypto"
	"fmt"
	"time"
)

// Proof names the key that verified a token. Whoever remembers a verified token keeps the Proof,
// and asks Renew at each use.
type Proof struct {
	set       *KeySet
	place     int // of the key in set
	keyID     string
	algorithm string
}

// KeyID is the kid of the token; "": it names no key.
func (p Proof) KeyID() string { return p.keyID }

// Precheck returns what check says of claims that nobody vouches for yet. A token that is refused
// anyway, such as an expired one, then costs no signature. The claims count only once Prove has
// returned nil.
func (u *Unverified) Precheck(check func(*Claims) error) error { return check(u.claims) }

// Prove is Verify for those who remember the answer.
func (u *Unverified) Prove(ctx context.Context, src Source) (Proof, error) {
	if u.nullSignature() {
		return Proof{}, BadSignature
	}
	set, err := keysOfSource(ctx, src, u.header.KeyID)
	if err != nil {
		return Proof{}, err
	}
	places := set.candidates(u.header, u.now())
	if len(places) == 0 {
		return Proof{}, NoKey
	}
	for _, i := range places {
		if u.signedBy(set.keys[i].public) {
			return Proof{set: set, place: i, keyID: u.header.KeyID, algorithm: u.header.Algorithm}, nil
		}
	}
	return Proof{}, BadSignature
}

func keysOfSource(ctx context.Context, src Source, kid string) (*KeySet, error) {
	set, err := src.Keys(ctx, kid)
	if err != nil {
		return nil, fmt.Errorf("the keys cannot be fetched: %w", err)
	}
	return set, nil
}

// Renew returns the proof by the set that src has now. It returns NoKey when the key has left the
// set or is past its end, or src's error, which is no TokenError.
func (p Proof) Renew(ctx context.Context, src Source, now time.Time) (Proof, error) {
	set, err := keysOfSource(ctx, src, p.keyID)
	if err != nil {
		return p, err
	}
	if set != p.set {
		place := set.placeOf(p.key(), p.keyID, p.algorithm)
		if place < 0 {
			return p, NoKey
		}
		p.set, p.place = set, place
	}
	if p.key().over(now) {
		return p, NoKey
	}
	return p, nil
}

func (p Proof) key() *publicKey { return &p.set.keys[p.place] }

// placeOf finds the same public key for the same kid and alg; -1: it is not there.
func (s *KeySet) placeOf(k *publicKey, kid, alg string) int {
	for i := range s.keys {
		if s.keys[i].named(kid) && s.keys[i].fits(alg) && s.keys[i].equals(k) {
			return i
		}
	}
	return -1
}

func (k *publicKey) equals(other *publicKey) bool {
	public, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(other.public)
}

// named says whether a token with this kid may have been signed by the key; "" names none.
func (k *publicKey) named(kid string) bool { return kid == "" || k.id == kid }

// over says whether the key is past its end.
func (k *publicKey) over(now time.Time) bool { return !k.until.IsZero() && !now.Before(k.until) }
