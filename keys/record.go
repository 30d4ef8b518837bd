package keys

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"
)

// storedRing is what Redis holds of a ring, as JSON.
type storedRing struct {
	Version int          `json:"v"`
	Keys    []wrappedKey `json:"keys"`
}

const ringVersion = 1

// wrappedKey is a Key whose private half is wrapped PKCS #8. Times are milliseconds since 1970; 0:
// not planned.
type wrappedKey struct {
	ID        string    `json:"kid"`
	Algorithm Algorithm `json:"alg"`
	Created   int64     `json:"created"`
	From      int64     `json:"from,omitempty"`
	Until     int64     `json:"until,omitempty"`
	Gone      int64     `json:"gone,omitempty"`
	Fixed     bool      `json:"fixed,omitempty"`
	Private   []byte    `json:"private"`
}

// encode writes keys under the newest encryption key.
func (w *Wrap) encode(keys []Key) ([]byte, error) {
	r := storedRing{Version: ringVersion}
	for _, k := range keys {
		secret, err := x509.MarshalPKCS8PrivateKey(k.Private)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be written as PKCS #8: %w", k, err)
		}
		r.Keys = append(r.Keys, wrappedKey{k.ID, k.Algorithm,
			milli(k.Created), milli(k.From), milli(k.Until), milli(k.Gone), k.Fixed, w.close(secret, boundTo(&k))})
	}
	return json.Marshal(r)
}

func decodeRing(text []byte) (*storedRing, error) {
	var r storedRing
	if err := json.Unmarshal(text, &r); err != nil || r.Version != ringVersion {
		return nil, fmt.Errorf("%w: version %d", ErrRecord, r.Version)
	}
	return &r, nil
}

// key is everything but the private half.
func (k *wrappedKey) key() Key {
	return Key{ID: k.ID, Algorithm: k.Algorithm, Fixed: k.Fixed,
		Created: moment(k.Created), From: moment(k.From), Until: moment(k.Until), Gone: moment(k.Gone)}
}

// openKey decrypts the private half, which must have this id.
func (w *Wrap) openKey(k *wrappedKey) (out Key, newest bool, err error) {
	out = k.key()
	secret, newest, err := w.open(k.Private, boundTo(&out))
	if err != nil {
		return Key{}, false, err
	}
	named, err := parsePKCS8(secret)
	if err != nil || named.ID != k.ID || named.Algorithm != k.Algorithm {
		return Key{}, false, fmt.Errorf("%w: %s is another key", ErrRecord, out)
	}
	out.Private = named.Private
	return out, newest, nil
}

func parsePKCS8(der []byte) (Key, error) {
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return Key{}, err
	}
	s, ok := private.(crypto.Signer)
	if !ok {
		return Key{}, fmt.Errorf("a %T cannot sign", private)
	}
	return newKey(s)
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
