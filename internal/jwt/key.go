package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantor-auth/grantor/internal/jsonobject"
)

// Bounds of RSA keys, in bits: RFC 7518 §3.3, and what is quick to verify.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// publicKey is one public signing key.
type publicKey struct {
	id     string // kid; "": it has none
	name   string // see Proof.KeyName
	alg    string // the only algorithm that it is for; "": all that fit its kind
	public any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	until  time.Time

	certificates []*x509.Certificate // x5c (RFC 7517 §4.7)
}

// usage is what go-jose does not read of a JWK, or not before it reads the key.
type usage struct {
	Kty    string   `json:"kty"`
	Crv    string   `json:"crv"`
	Use    string   `json:"use"`
	KeyOps []string `json:"key_ops"`
	Exp    *float64 `json:"exp"` // OpenID Federation 1.0 §8.7.2: the key is not used after it
}

// parseKey reads a JWK that can verify signatures of a purpose. Its errors tell who registers a key
// what to change, and quote nothing.
func parseKey(text []byte, wanted purpose) (publicKey, error) {
	members, err := jsonobject.Read(text)
	if err != nil {
		return publicKey{}, errors.New("it is no JSON object, or a member occurs twice")
	}
	var u usage
	if err := json.Unmarshal(text, &u); err != nil {
		return publicKey{}, errors.New("kty, crv, use, key_ops or exp has the wrong type")
	}
	if u.Kty == "oct" {
		return publicKey{}, errors.New("symmetric keys are refused")
	}
	if err := public(members); err != nil { // first: a private key is reported, whatever it is for
		return publicKey{}, err
	}
	if err := u.check(wanted); err != nil {
		return publicKey{}, err
	}
	var j jose.JSONWebKey
	if err := j.UnmarshalJSON(text); err != nil {
		return publicKey{}, errors.New("it is not a valid public key: RSA, P-256, P-384, P-521 or Ed25519 (RFC 7518 §6, RFC 8037)")
	}
	if wanted == svids && j.KeyID == "" {
		return publicKey{}, errors.New("kid is missing (SPIFFE Trust Domain and Bundle §4.2.2)")
	}
	k := publicKey{id: j.KeyID, name: nameOf(&j), alg: j.Algorithm, public: j.Key, certificates: j.Certificates}
	if u.Exp != nil && *u.Exp <= maxDate {
		k.until = time.Unix(int64(max(*u.Exp, 0)), 0) // 0 and below are long ago, and not "never"
	}
	return k, k.check()
}

// public refuses a private key.
func public(members jsonobject.Members) error {
	for _, secret := range []string{"k", "d", "p", "q", "dp", "dq", "qi", "oth", "priv"} {
		if members.Has(secret) {
			return fmt.Errorf("it has the member %q: register public keys only, and replace this key: it is no secret any more", secret)
		}
	}
	return nil
}

// purpose is the use of keys that a set is read for.
type purpose string

// The purposes. A key that says no use is one for signatures (RFC 7517 §4.2), and is none for
// JWT-SVIDs (SPIFFE Trust Domain and Bundle §4.2.2).
const (
	signatures purpose = "sig"
	svids      purpose = "jwt-svid"
)

// has says whether the purpose takes a key of this use.
func (p purpose) has(use string) bool { return use == string(p) || use == "" && p == signatures }

// otherUse is why a sound key is not taken: it is for something else, or of a kind that is not
// known here (RFC 7517 §5).
type otherUse string

func (e otherUse) Error() string { return string(e) }

func (u *usage) check(wanted purpose) error {
	curves := map[string][]string{"EC": {"P-256", "P-384", "P-521"}, "OKP": {"Ed25519"}, "RSA": nil, "": nil}
	known, ok := curves[u.Kty]
	switch {
	case !ok:
		return otherUse("kty must be RSA, EC or OKP")
	case known != nil && u.Crv != "" && !slices.Contains(known, u.Crv):
		return otherUse("crv must be P-256, P-384, P-521 or Ed25519")
	case !wanted.has(u.Use):
		return otherUse(`use must be "` + string(wanted) + `"`)
	case u.KeyOps != nil && !slices.Contains(u.KeyOps, "verify"):
		return otherUse(`key_ops must hold "verify"`)
	}
	return nil
}

// check demands a key that is strong enough and an alg that it can do.
func (k *publicKey) check() error {
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("an RSA key has %d to %d bits (RFC 7518 §3.3), this one %d", minRSABits, maxRSABits, bits)
		}
		if public.N.Bit(0) == 0 || public.E < 3 || public.E%2 == 0 || public.E > 1<<31-1 {
			return errors.New("the RSA modulus or exponent is not one of RSA")
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return errors.New("it must be RSA, P-256, P-384, P-521 or Ed25519")
	}
	if k.alg != "" && !k.fits(k.alg) {
		wrong := "alg is none that this kind of key signs with, or none that is supported"
		if slices.Contains(Algorithms(), k.alg) || k.alg == "none" || strings.HasPrefix(k.alg, "HS") {
			return errors.New(wrong) // a mistake, and no other use
		}
		return otherUse(wrong)
	}
	return nil
}

// fits says whether the key can have made a signature of alg: an algorithm belongs to one kind of
// key (RFC 8725 §3.1).
func (k *publicKey) fits(alg string) bool {
	if k.alg != "" && k.alg != alg && !(edwards(k.alg) && edwards(alg)) {
		return false
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return slices.Contains([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, alg)
	case *ecdsa.PublicKey:
		return alg == algorithmOf(public)
	case ed25519.PublicKey:
		return edwards(alg)
	}
	return false
}

// algorithmOf returns the only algorithm of a curve (RFC 7518 §3.4).
func algorithmOf(k *ecdsa.PublicKey) string {
	switch k.Curve.Params().BitSize {
	case 256:
		return "ES256"
	case 384:
		return "ES384"
	case 521:
		return "ES512"
	}
	return ""
}

// edwards says whether alg names Ed25519, in the old or the new way (RFC 9864 §2.2).
func edwards(alg string) bool { return alg == "EdDSA" || alg == "Ed25519" }

// Algorithms returns every algorithm that this package can verify: asymmetric ones alone.
func Algorithms() []string {
	return []string{"ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
}
