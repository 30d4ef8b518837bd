package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Key is a private signing key and its times, by the store's clock. A zero time is not planned yet.
type Key struct {
	ID        string // RFC 7638 thumbprint by SHA-256, base64url
	Algorithm Algorithm
	Private   crypto.Signer
	Created   time.Time // and published
	From      time.Time // first use
	Until     time.Time // last use: the first use of the next key
	Gone      time.Time // neither published nor accepted from then on
	Fixed     bool      // an operator chose From: no schedule changes it
}

// String names the key and says nothing else.
func (k Key) String() string { return "signing key " + k.ID }

// GoString is String.
func (k Key) GoString() string { return k.String() }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// used says whether the key's use has begun.
func (k *Key) used(now time.Time) bool { return !k.From.IsZero() && !now.Before(k.From) }

// current says whether the key signs now.
func (k *Key) current(now time.Time) bool {
	return k.used(now) && (k.Until.IsZero() || now.Before(k.Until)) && !k.gone(now)
}

func (k *Key) gone(now time.Time) bool { return !k.Gone.IsZero() && !now.Before(k.Gone) }

func (k *Key) state(now time.Time) string {
	switch {
	case !k.used(now):
		return "next"
	case k.current(now):
		return "current"
	}
	return "retired"
}

// same says whether two keys have the same times.
func (k *Key) same(o *Key) bool {
	return k.ID == o.ID && k.Fixed == o.Fixed &&
		k.Created.Equal(o.Created) && k.From.Equal(o.From) && k.Until.Equal(o.Until) && k.Gone.Equal(o.Gone)
}

// RSA keys have 2048 bits or more (RFC 7518 §3.3), and not so many that signing is slow.
const (
	rsaBits    = 2048
	maxRSABits = 8192
)

// generate makes a key that has no times yet.
func generate(alg Algorithm) (Key, error) {
	private, err := generatePrivate(alg)
	if err != nil {
		return Key{}, err
	}
	return newKey(private)
}

func generatePrivate(alg Algorithm) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fmt.Errorf("keys: no key can be made for %q", string(alg))
}

// newKey gives a private key its id and its one algorithm (RFC 8725 §3.1).
func newKey(private crypto.Signer) (Key, error) {
	alg, err := algorithmOf(private)
	if err != nil {
		return Key{}, err
	}
	j := jose.JSONWebKey{Key: private.Public()}
	sum, err := j.Thumbprint(crypto.SHA256)
	if err != nil {
		return Key{}, errors.New("the public key has no thumbprint (RFC 7638)")
	}
	return Key{ID: base64.RawURLEncoding.EncodeToString(sum), Algorithm: alg, Private: private}, nil
}

// idLength is the length of every key's id: SHA-256 in base64url.
const idLength = 43

func algorithmOf(private crypto.Signer) (Algorithm, error) {
	switch private := private.(type) {
	case ed25519.PrivateKey:
		return EdDSA, nil
	case *ecdsa.PrivateKey:
		if private.Curve != elliptic.P256() {
			return "", fmt.Errorf("a key on the curve %s: ES256 needs P-256 (RFC 7518 §3.4)", private.Curve.Params().Name)
		}
		return ES256, nil
	case *rsa.PrivateKey:
		if bits := private.N.BitLen(); bits < rsaBits || bits > maxRSABits {
			return "", fmt.Errorf("an RSA key of %d bits: RS256 needs %d (RFC 7518 §3.3), and at most %d", bits, rsaBits, maxRSABits)
		}
		return RS256, nil
	}
	return "", errors.New("a key of a kind that signs none of ES256, EdDSA and RS256")
}

// public returns the JWK for verifiers.
func (k *Key) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.Private.Public(), KeyID: k.ID, Algorithm: string(k.Algorithm), Use: "sig"}
}
