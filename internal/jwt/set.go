package jwt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/internal/jws"
)

// Bounds of a set.
const (
	maxSetBytes = 256 << 10
	maxKeys     = 100
	maxTried    = 4 // keys that one signature is held against
)

// KeySet is public signing keys. It does not change. It is its own Source.
type KeySet struct {
	keys   []publicKey
	passed []string
	others int // of passed: sound keys for another use, or of an unknown kind
}

// PassedOver says which keys of the text were ignored, and why; a KeySet that was written and read
// again has none.
func (s *KeySet) PassedOver() []string {
	if s == nil {
		return nil
	}
	return s.passed
}

// Keys implements Source.
func (s *KeySet) Keys(context.Context, string) (*KeySet, error) { return s, nil }

// Len returns how many keys there are.
func (s *KeySet) Len() int { return len(s.keys) }

// ParseKeySet reads a JWK Set that a client registers: every key must be public and strong enough.
// Keys for another use or of an unknown kind are ignored (RFC 7517 §5); one key must remain. The
// error names the key by its place and says what would be right.
func ParseKeySet(text []byte) (*KeySet, error) {
	list, err := keysOf(text)
	if err != nil {
		return nil, err
	}
	s := &KeySet{}
	for i, one := range list {
		k, err := parseKey(one, signatures)
		if _, other := errors.AsType[otherUse](err); err != nil && !other {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		s.add(i, k, err)
	}
	switch {
	case len(list) == 0:
		return nil, errors.New("there is no key in it")
	case len(s.keys) == 0:
		return nil, fmt.Errorf("there is no key in it that can be used: %s", strings.Join(s.passed, "; "))
	}
	return s, nil
}

// parsePublished reads a JWK Set that another server publishes: keys that cannot be used are
// ignored (RFC 7517 §5), also a key whose private half is published.
func parsePublished(text []byte, wanted purpose) (*KeySet, error) {
	list, err := keysOf(text)
	if err != nil {
		return nil, err
	}
	s := &KeySet{}
	for i, one := range list {
		k, err := parseKey(one, wanted)
		s.add(i, k, err)
	}
	return s, nil
}

// add takes the key at place i, or notes why not.
func (s *KeySet) add(i int, k publicKey, err error) {
	if err != nil {
		s.passed = append(s.passed, fmt.Sprintf("keys[%d]: %s", i, err))
		if _, other := errors.AsType[otherUse](err); other {
			s.others++
		}
		return
	}
	s.keys = append(s.keys, k)
}

func keysOf(text []byte) ([]json.RawMessage, error) {
	if len(text) > maxSetBytes {
		return nil, errors.New("a JWK Set has at most 256 kB")
	}
	o, err := jsonobject.Read(text)
	value, ok := o.Get("keys")
	if err != nil || !ok {
		return nil, errors.New(`a JWK Set is a JSON object {"keys": […]} (RFC 7517 §5)`)
	}
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return nil, errors.New("keys must be a list (RFC 7517 §5.1)")
	}
	if len(list) > maxKeys {
		return nil, fmt.Errorf("a JWK Set has at most %d keys", maxKeys)
	}
	return list, nil
}

// has says whether a key has this kid.
func (s *KeySet) has(kid string) bool {
	for i := range s.keys {
		if s.keys[i].id == kid {
			return true
		}
	}
	return false
}

// candidates returns the places of the keys that a token may have been signed with: those of its
// kid, or, when it names none, all that fit its algorithm. A kid is compared with known ones and
// nothing else is done with it.
func (s *KeySet) candidates(h jws.Header, now time.Time) (places []int) {
	for i := range s.keys {
		k := &s.keys[i]
		if k.named(h.KeyID) && k.fits(h.Algorithm) && !k.over(now) && len(places) < maxTried {
			places = append(places, i)
		}
	}
	return places
}

// UnmarshalJSON is ParseKeySet.
func (s *KeySet) UnmarshalJSON(text []byte) error {
	parsed, err := ParseKeySet(text)
	if err != nil {
		return err
	}
	*s = *parsed
	return nil
}

// MarshalJSON writes the set as ParseKeySet reads it.
func (s *KeySet) MarshalJSON() ([]byte, error) {
	out := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for i := range s.keys {
		text, err := s.keys[i].marshal()
		if err != nil {
			return nil, err
		}
		out.Keys = append(out.Keys, text)
	}
	return json.Marshal(out)
}

func (k *publicKey) marshal() ([]byte, error) {
	text, err := jose.JSONWebKey{Key: k.public, KeyID: k.id, Algorithm: k.alg, Use: "sig", Certificates: k.certificates}.MarshalJSON()
	if err != nil || k.until.IsZero() {
		return text, err
	}
	return fmt.Appendf(bytes.TrimSuffix(text, []byte("}")), `,"exp":%d}`, k.until.Unix()), nil
}
