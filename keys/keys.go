// Package keys owns the signing keys of JWT access tokens (RFC 9068): it makes them, says which key
// signs and when, and publishes them to verifiers (RFC 7517).
//
//	config := keys.Config{Store: keys.NewRedis(db, wrap), Algorithms: …, MaxTokenTTL: …}
//	ring, err := keys.Open(ctx, config)
//	go ring.Run(ctx)                                // follows the store, rotates on schedule
//	token, err := ring.Sign(keys.ES256, "at+jwt", claims)
//	claims, err := ring.Verify(token, "at+jwt")     // ErrNotOurs: by no key that counts now
//	body, etag := ring.JWKS()
//
// The times of a key are absolute and written down when it is made. So nothing needs to happen at
// the moment of a rotation, and all nodes switch together. The states of a key:
//
//	next     published, not used yet, for PublishAhead at least: by then every verifier has it
//	current  signs
//	retired  signs no more; published and accepted until the last token that it signed has expired
//	gone     not published, not accepted
//
// The times are made and read by the store's clock (Redis's TIME). A node's own clock only measures
// how long ago it asked. The package knows neither claims nor whether a token was revoked.
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
	PublishAhead time.Duration    // max-age of the JWKS; 0: DefaultPublishAhead
	MaxTokenTTL  time.Duration    // the longest TTL of a token
	Log          *slog.Logger     // nil: no log
	Rotated      func(Activation) // called on the leading node for each key that begins to sign; may be nil
	Now          func() time.Time // measures time between reads, and is the clock of a store without one; nil: time.Now
}

// Activation is a key that begins to sign in the place of another.
type Activation struct {
	KeyID     string
	Algorithm Algorithm
	From      time.Time // when it began to sign
	Scheduled bool      // by the schedule; else by an operator
}

// DefaultPublishAhead is the max-age of the JWKS unless Config says otherwise.
const DefaultPublishAhead = 5 * time.Minute

const (
	pollEvery  = 2 * time.Second  // how often a node reads the store
	staleAfter = 30 * time.Second // after so long without the store a node neither signs nor accepts
	leaseTTL   = 15 * time.Second // after it another node takes over from a silent leader
	skew       = time.Minute      // how far a verifier's clock may be off
)

// Errors.
var (
	// ErrNotOurs: no key that counts now has signed this text, or it is of another type.
	ErrNotOurs = errors.New("not a token of ours")
	// ErrUnconfirmed: the store has not answered for too long. This is no "no".
	ErrUnconfirmed = errors.New("the signing keys could not be confirmed for too long")
	// ErrOvertaken: another node changed the keys meanwhile.
	ErrOvertaken = errors.New("others keep changing the signing keys; try again")
	// ErrEncryptionKey: the stored keys do not decrypt.
	ErrEncryptionKey = errors.New("[keys] encryption_key does not open the stored signing keys: they were wrapped under another one; " +
		"put that one into previous_encryption_keys")
	// ErrRecord: this version cannot read what is stored.
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
		c.Rotated = func(Activation) {}
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
	case c.MaxTokenTTL <= 0:
		return errors.New("keys: the longest TTL of a token must be given")
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
		after:      c.MaxTokenTTL + skew + staleAfter, // a node may sign with the old key for staleAfter more
	}
}

// clock returns the store's time, or the node's where the store has no clock.
func (c Config) clock(s State) time.Time {
	if s.Time.IsZero() {
		return c.Now()
	}
	return s.Time
}

// Info is what is public about a key.
type Info struct {
	KeyID          string     `json:"kid"` // RFC 7638, SHA-256
	Algorithm      Algorithm  `json:"alg"`
	State          string     `json:"state"` // "next", "current", "retired"
	CreatedAt      *time.Time `json:"created_at,omitempty"`
	UseFrom        *time.Time `json:"use_from,omitempty"`        // nil: not planned
	UseUntil       *time.Time `json:"use_until,omitempty"`       // nil: not planned
	PublishedUntil *time.Time `json:"published_until,omitempty"` // nil: not planned
}

// List returns the keys of a store, by its clock. It only reads.
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
