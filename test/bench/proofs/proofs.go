// Package proofs makes DPoP proofs (RFC 9449 §4.2) ahead of the requests that they are for.
package proofs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Lasting is how long after Make a proof may be sent: servers take an iat of the last minute.
const Lasting = 40 * time.Second

// keys is how many clients there seem to be: a server cannot keep one key at hand.
const keys = 256

// Make returns n proofs by ES256 for POST requests to a URL, each with a jti of its own.
func Make(n int, url string) ([]string, error) {
	signers := make([]signer, min(n, keys))
	for i := range signers {
		var err error
		if signers[i], err = newSigner(); err != nil {
			return nil, err
		}
	}
	made, workers := make([]string, n), runtime.NumCPU()
	errs := make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				made[i], errs[w] = signers[i%len(signers)].proof(url)
			}
		})
	}
	all.Wait()
	return made, errors.Join(errs...)
}

type signer struct {
	key  *ecdsa.PrivateKey
	head string // the encoded header
}

func newSigner() (s signer, err error) {
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return s, err
	}
	point, err := s.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return s, err
	}
	head, err := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": "ES256",
		"jwk": map[string]string{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}})
	s.head = encode(head)
	return s, err
}

func (s signer) proof(url string) (string, error) {
	claims, err := json.Marshal(map[string]any{"htm": "POST", "htu": url, "iat": time.Now().Unix(), "jti": rand.Text()})
	if err != nil {
		return "", err
	}
	text := s.head + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		return "", fmt.Errorf("a proof cannot be signed: %w", err)
	}
	var signature [64]byte // RFC 7518 §3.4
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return text + "." + encode(signature[:]), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
