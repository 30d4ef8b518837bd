// Package keys has the signing keys of JWT access tokens (RFC 9068): who makes them, who may use which and
// when, and what verifiers are told of them (RFC 7517).
//
//	ring, err := keys.Open(ctx, keys.Config{Store: keys.NewRedis(db, wrap), Algorithms: …, MaxTokenLife: …})
//	go ring.Run(ctx)                                // follows the store, rotates on schedule
//	token, err := ring.Sign(keys.ES256, "at+jwt", claims)
//	claims, err := ring.Verify(token, "at+jwt")     // ErrNotOurs: we did not sign it, or not with a key that counts now
//	body, etag := ring.JWKS()
//
// The life of a key is written down as absolute times when it begins, so nothing needs to happen at the moment of a
// rotation, and all nodes switch together:
//
//	next     published, not used yet: for PublishAhead at least, so that every verifier's copy of the JWKS has it
//	current  signs
//	retired  signs no more; published and accepted until the last token that it signed is dead
//	gone     not published, not accepted
//
// The times are made and read by the store's clock (Redis's TIME); a node's own clock only measures how long ago it
// asked. What the package does not know: claims, and whether a token was revoked.
package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Algorithm is an alg of RFC 7518 §3.1 or RFC 8037: asymmetric ones alone (RFC 8725 §3.2).
type Algorithm string

// The algorithms.
const (
	ES256 Algorithm = "ES256"
	EdDSA Algorithm = "EdDSA" // Ed25519
	RS256 Algorithm = "RS256" // 2048 bits
)

// Algorithms returns all of them.
func Algorithms() []Algorithm { return []Algorithm{ES256, EdDSA, RS256} }

// Config of a ring.
type Config struct {
	Store        Store
	Algorithms   []Algorithm      // all that are used here; at least one
	RotateEvery  time.Duration    // 0: only by Rotate; else longer than PublishAhead by more than half a minute
	PublishAhead time.Duration    // max-age of the JWKS, which verifiers may keep so long; 0: DefaultPublishAhead
	MaxTokenLife time.Duration    // the longest life of a token
	Log          *slog.Logger     // nil: nobody is told
	Rotated      func(Rotation)   // is told by the leading node of each key that begins to sign; nil: nobody is told
	Now          func() time.Time // measures time between two looks at the store, and is the clock where it has none; nil: time.Now
}

// Rotation is a key that takes the place of another.
type Rotation struct {
	KeyID     string
	Algorithm Algorithm
	From      time.Time // when it began to sign
	Scheduled bool      // by the schedule; else by an operator
}

// DefaultPublishAhead is the max-age of the JWKS unless Config says otherwise.
const DefaultPublishAhead = 5 * time.Minute

const (
	pollEvery  = 2 * time.Second  // how often a node looks at the store
	staleAfter = 30 * time.Second // a node that could not look for so long neither signs nor accepts
	leaseLife  = 15 * time.Second // when another node takes over from a leader that is silent
	skew       = time.Minute      // how far a verifier's clock may be off
)

// Errors.
var (
	// ErrNotOurs: no key that counts now has signed this text, or it is not of the types asked for.
	ErrNotOurs = errors.New("not a token of ours")
	// ErrUnconfirmed: the store has not answered for too long. It is no "no".
	ErrUnconfirmed = errors.New("the signing keys could not be confirmed for too long")
	// ErrOvertaken: others have changed the keys meanwhile.
	ErrOvertaken = errors.New("others keep changing the signing keys; try again")
	// ErrEncryptionKey: the stored keys do not open.
	ErrEncryptionKey = errors.New("[keys] encryption_key does not open the stored signing keys: they were wrapped under another one; " +
		"put that one into previous_encryption_keys")
	// ErrRecord: what is stored is nothing that this version can read.
	ErrRecord = errors.New("unreadable signing keys")
)

func (c Config) withDefaults() Config {
	if c.PublishAhead == 0 {
		c.PublishAhead = DefaultPublishAhead
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Rotated == nil {
		c.Rotated = func(Rotation) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (c Config) validate() error {
	if c.Store == nil || len(c.Algorithms) == 0 {
		return errors.New("keys: a store and at least one algorithm are needed")
	}
	for _, alg := range c.Algorithms {
		if !slices.Contains(Algorithms(), alg) {
			return fmt.Errorf("keys: %q is no signing algorithm; use ES256, EdDSA or RS256", string(alg))
		}
	}
	switch {
	case c.MaxTokenLife <= 0:
		return errors.New("keys: the longest life of a token must be given")
	case c.PublishAhead < 0 || c.RotateEvery < 0:
		return errors.New("keys: rotate_every and the JWKS max-age must not be negative")
	case c.RotateEvery != 0 && c.RotateEvery <= c.schedule().ahead:
		return fmt.Errorf("keys: rotate_every must be longer than %s: verifiers keep the JWKS for that long", c.schedule().ahead)
	}
	return nil
}

func (c Config) schedule() schedule {
	return schedule{
		algorithms: c.Algorithms,
		every:      c.RotateEvery,
		ahead:      c.PublishAhead + staleAfter,
		after:      c.MaxTokenLife + skew + staleAfter, // a node may sign with the old key for staleAfter more
	}
}

// clock returns the time by which a state is judged: the store's, or the node's where the store has none.
func (c Config) clock(s State) time.Time {
	if s.Time.IsZero() {
		return c.Now()
	}
	return s.Time
}

// Info is what may be said of a key.
type Info struct {
	KeyID          string     `json:"kid"` // RFC 7638, SHA-256
	Algorithm      Algorithm  `json:"alg"`
	State          string     `json:"state"` // "next", "current", "retired"
	CreatedAt      *time.Time `json:"created_at,omitempty"`
	UseFrom        *time.Time `json:"use_from,omitempty"`        // nil: not planned
	UseUntil       *time.Time `json:"use_until,omitempty"`       // nil: not planned
	PublishedUntil *time.Time `json:"published_until,omitempty"` // nil: not planned
}

// List says what keys a store has, by its clock. It reads only.
func List(ctx context.Context, store Store) ([]Info, error) {
	s, err := store.Load(ctx)
	if err != nil {
		return nil, err
	}
	return list(s.Keys, Config{}.withDefaults().clock(s)), nil
}

func list(keys []Key, now time.Time) []Info {
	infos := []Info{}
	for _, k := range keys {
		if k.gone(now) {
			continue
		}
		infos = append(infos, Info{k.ID, k.Algorithm, k.state(now), known(k.Created), known(k.From), known(k.Until), known(k.Gone)})
	}
	return infos
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
