// Package dpoptest makes DPoP proofs for tests (RFC 9449 §4.2), good ones and such as nobody should
// take. It uses nothing of what it tests.
package dpoptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"testing"
	"time"
)

// Key is a client's key: P-256, for ES256.
type Key struct {
	t       testing.TB
	private *ecdsa.PrivateKey
}

// New draws a key.
func New(t testing.TB) *Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return &Key{t, private}
}

// Change is what a proof's header or claims have other than a good one: nil leaves a member out.
type Change map[string]any

// Proof is a good proof for one request, changed. Beside an access token it needs ath, see With.
func (k *Key) Proof(method, url string, changes ...Change) string {
	k.t.Helper()
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": url, "iat": time.Now().Unix()}
	return k.Sign(k.Header(), change(claims, changes))
}

// With is the change that makes a proof good beside an access token.
func With(token string) Change {
	sum := sha256.Sum256([]byte(token))
	return Change{"ath": encode(sum[:])}
}

// Header is the header of a good proof, changed.
func (k *Key) Header(changes ...Change) map[string]any {
	return change(map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": k.JWK()}, changes)
}

// JWK is the public key, changed.
func (k *Key) JWK(changes ...Change) map[string]any {
	k.t.Helper()
	point, err := k.private.PublicKey.Bytes()
	must(k.t, err)
	return change(map[string]any{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}, changes)
}

// Private is the private member of the JWK, which no proof may hold.
func (k *Key) Private() string {
	k.t.Helper()
	d, err := k.private.Bytes()
	must(k.t, err)
	return encode(d)
}

// Thumbprint is the key's name (RFC 7638 §3), of which jkt is the base64url.
func (k *Key) Thumbprint() [32]byte {
	k.t.Helper()
	return sha256.Sum256(k.encode(k.JWK())) // encoding/json sorts names, as the RFC wants
}

// JKT is the thumbprint as cnf has it.
func (k *Key) JKT() string {
	sum := k.Thumbprint()
	return encode(sum[:])
}

// Sign signs whatever it is given with ES256 (RFC 7518 §3.4).
func (k *Key) Sign(header, claims map[string]any) string {
	k.t.Helper()
	input := encode(k.encode(header)) + "." + encode(k.encode(claims))
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, sum[:])
	must(k.t, err)
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return input + "." + encode(signature)
}

func (k *Key) encode(v any) []byte {
	k.t.Helper()
	text, err := json.Marshal(v)
	must(k.t, err)
	return text
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func change(m map[string]any, changes []Change) map[string]any {
	for _, c := range changes {
		maps.Copy(m, c)
		maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	}
	return m
}
