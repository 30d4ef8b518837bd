package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Ring is the keys as one node knows them. It may be used by any number of goroutines.
type Ring struct {
	cfg  Config
	name string // as a leader
	view atomic.Pointer[view]
	jwks atomic.Pointer[published]

	looks  atomic.Int64 // how many looks at the store have begun
	mu     sync.Mutex   // one at a time
	failed error        // how the last one ended
	asked  time.Time    // when a request last caused one, by the node's clock
}

// view is what the store had at one moment.
type view struct {
	revision string
	keys     []*signer // in the order of their making
	byID     map[string]*signer
	then     time.Time // by the store's clock
	seen     time.Time // the same moment by the node's
}

// Open opens the ring, and makes the first keys if an algorithm has none: of many nodes that do so at one moment, one
// does. It fails if the store does not answer, its keys do not open, or it is read only and an algorithm has no key.
func Open(ctx context.Context, cfg Config) (*Ring, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r := &Ring{cfg: cfg, name: rand.Text()}
	begun := begin(ctx, cfg)
	if err := r.refresh(ctx); err != nil {
		return nil, err
	}
	if err := r.complete(r.view.Load()); err != nil {
		return nil, errors.Join(err, begun)
	}
	if begun != nil { // others made them, or too few replicas have them yet
		cfg.Log.Warn("making the first signing keys", "error", begun.Error())
	}
	return r, nil
}

// Ready returns nil while the ring can sign and verify: it has a key to sign with for every algorithm, and the
// store confirmed them in the last half minute. While it returns an error nobody should keep a copy of the JWKS.
func (r *Ring) Ready() error {
	v, err := r.confirmed()
	if err != nil {
		return err
	}
	return r.complete(v)
}

func (r *Ring) complete(v *view) error {
	now := r.now(v)
	for _, alg := range r.cfg.Algorithms {
		if v.current(alg, now) == nil {
			return fmt.Errorf("there is no key for %s", alg)
		}
	}
	return nil
}

// List says what keys there are.
func (r *Ring) List() []Info {
	v := r.latest()
	keys := make([]Key, len(v.keys))
	for i, k := range v.keys {
		keys[i] = k.Key
	}
	return list(keys, r.now(v))
}

// now is the store's time: what it said, and what has passed since.
func (r *Ring) now(v *view) time.Time { return v.then.Add(r.cfg.Now().Sub(v.seen)) }

// confirmed returns the view if it is young enough, and asks the store if it is not.
func (r *Ring) confirmed() (*view, error) {
	if v := r.view.Load(); r.fresh(v) {
		return v, nil
	}
	err := r.look()
	if v := r.view.Load(); r.fresh(v) {
		return v, nil
	}
	return nil, unconfirmed(err)
}

// latest is the view that is confirmed, or else the last one that was.
func (r *Ring) latest() *view {
	if v, err := r.confirmed(); err == nil {
		return v
	}
	return r.view.Load()
}

func unconfirmed(err error) error {
	if err == nil {
		return ErrUnconfirmed
	}
	return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
}

func (r *Ring) fresh(v *view) bool {
	age := r.cfg.Now().Sub(v.seen)
	return age < staleAfter && age > -staleAfter
}

// lookPause bounds how often requests make a node look at the store.
const lookPause = 100 * time.Millisecond

// look refreshes the view on behalf of a request, unless one did so just now, or another look began while this one
// waited.
func (r *Ring) look() error {
	begun, looks := r.cfg.Now(), r.looks.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	pause := begun.Sub(r.asked)
	if r.looks.Load() > looks || pause < lookPause && pause > -lookPause {
		return r.failed
	}
	r.asked = begun
	ctx, cancel := context.WithTimeout(context.Background(), pollEvery)
	defer cancel()
	return r.load(ctx)
}

// Follow looks at the store at once. A store that lost its keys gets those of this node.
func (r *Ring) Follow(ctx context.Context) error { return r.refresh(ctx) }

// refresh looks at the store.
func (r *Ring) refresh(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.load(ctx)
}

// load is refresh for who holds mu.
func (r *Ring) load(ctx context.Context) error {
	r.looks.Add(1)
	old := r.view.Load()
	s, err := r.cfg.Store.Load(ctx)
	if err == nil && s.Revision == "" && old != nil && old.revision != "" {
		s, err = r.restore(ctx, s, old)
	}
	now := r.cfg.Now()
	r.failed = err
	if err != nil {
		return err
	}
	v := &view{revision: s.Revision, then: s.Time, seen: now}
	if v.then.IsZero() {
		v.then = now
	}
	if old != nil && old.revision == v.revision {
		v.keys, v.byID = old.keys, old.byID
	} else {
		v.fill(s.Keys, old)
		r.tell(old, v)
	}
	r.view.Store(v)
	return nil
}

// restore gives a store that came back empty the keys that this node knows: tokens that it signs meanwhile stay good on every node, and
// verifiers need no other JWKS. Of many nodes the first decides. One that may not write leaves the store as it is.
func (r *Ring) restore(ctx context.Context, empty State, old *view) (State, error) {
	held := make([]Key, len(old.keys))
	for i, k := range old.keys {
		held[i] = k.Key
	}
	err := r.cfg.Store.Swap(ctx, "", held)
	switch {
	case errors.Is(err, ErrEncryptionKey):
		return empty, nil
	case err != nil && !errors.Is(err, ErrOvertaken):
		return State{}, err
	}
	r.cfg.Log.Error("the store came back without the signing keys; it has those of a node again")
	return r.cfg.Store.Load(ctx)
}

// fill takes the keys of a state over; what was prepared for one that was known before stays.
func (v *view) fill(keys []Key, old *view) {
	v.byID = make(map[string]*signer, len(keys))
	for _, k := range keys {
		s := &signer{Key: k, headers: new(headers)}
		if old != nil && old.byID[k.ID] != nil {
			s.Private, s.headers = old.byID[k.ID].Private, old.byID[k.ID].headers
		}
		v.keys, v.byID[k.ID] = append(v.keys, s), s
	}
}

// tell logs what has changed.
func (r *Ring) tell(old, v *view) {
	if old == nil {
		return
	}
	for _, k := range v.keys {
		if before := old.byID[k.ID]; before == nil || !before.From.Equal(k.From) {
			r.cfg.Log.Info("signing key published", "kid", k.ID, "alg", string(k.Algorithm), "use_from", k.From)
		}
	}
	for _, k := range old.keys {
		if v.byID[k.ID] == nil {
			r.cfg.Log.Info("signing key removed", "kid", k.ID, "alg", string(k.Algorithm))
		}
	}
}

// current returns the key to sign with, or nil.
func (v *view) current(alg Algorithm, now time.Time) (found *signer) {
	for _, k := range v.keys {
		if k.Algorithm == alg && k.current(now) && (found == nil || k.From.After(found.From)) {
			found = k
		}
	}
	return found
}
