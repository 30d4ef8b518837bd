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

// Ring is the keys as one node knows them. Any number of goroutines may use it.
type Ring struct {
	cfg  Config
	name string // as a leader
	view atomic.Pointer[view]
	jwks atomic.Pointer[published]

	begun  atomic.Int64 // reads of the store that have begun
	mu     sync.Mutex   // one read at a time; guards what follows
	failed error        // result of the last read
	asked  time.Time    // when a request last caused a read, by the node's clock
}

// view is what the store had at one moment.
type view struct {
	revision string
	keys     []*signer // in the order of creation
	byID     map[string]*signer
	then     time.Time // by the store's clock
	seen     time.Time // the same moment by the node's
}

// held returns the keys of a view.
func (v *view) held() []Key {
	list := make([]Key, len(v.keys))
	for i, k := range v.keys {
		list[i] = k.Key
	}
	return list
}

// Open opens the ring, and makes the first keys where an algorithm has none: of many nodes that do
// so at once, one succeeds. It fails if the store does not answer, if keys do not decrypt, or if an
// algorithm has no key and the store is read only.
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

// Ready returns nil while the ring can sign and verify: every algorithm has a current key, and the
// store confirmed the keys in the last half minute. Else nobody should keep a copy of the JWKS.
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

// List returns what is public about the keys.
func (r *Ring) List() []Info {
	v := r.latest()
	return list(v.held(), r.now(v))
}

// Known returns what List does, as this node last read it. It never waits for the store.
func (r *Ring) Known() []Info {
	v := r.view.Load()
	return list(v.held(), r.now(v))
}

// now is the store's time: what it returned last, and what has passed since.
func (r *Ring) now(v *view) time.Time { return v.then.Add(r.cfg.Now().Sub(v.seen)) }

// confirmed returns the view if it is fresh, and reads the store if it is not.
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

// latest returns the confirmed view, or else the last one that was confirmed.
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

// lookPause bounds how often requests cause a read of the store.
const lookPause = 100 * time.Millisecond

// look refreshes the view for a request, unless a request caused a read just now, or another read
// began while this one waited.
func (r *Ring) look() error {
	now, begun := r.cfg.Now(), r.begun.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	pause := now.Sub(r.asked)
	if r.begun.Load() > begun || pause < lookPause && pause > -lookPause {
		return r.failed
	}
	r.asked = now
	ctx, cancel := context.WithTimeout(context.Background(), pollEvery)
	defer cancel()
	return r.load(ctx)
}

// Follow reads the store at once. A store that lost its keys gets those of this node.
func (r *Ring) Follow(ctx context.Context) error { return r.refresh(ctx) }

// refresh reads the store.
func (r *Ring) refresh(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.load(ctx)
}

// load reads the store. mu must be held.
func (r *Ring) load(ctx context.Context) error {
	r.begun.Add(1)
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
		r.logChanges(old, v)
	}
	r.view.Store(v)
	return nil
}

// restore gives a store that lost its data the keys of this node: its tokens stay good on every
// node, and verifiers need no other JWKS. Of many nodes the first decides. A node that may not
// write does nothing.
func (r *Ring) restore(ctx context.Context, empty State, old *view) (State, error) {
	err := r.cfg.Store.Swap(ctx, "", old.held())
	switch {
	case errors.Is(err, ErrEncryptionKey):
		return empty, nil
	case err != nil && !errors.Is(err, ErrOvertaken):
		return State{}, err
	}
	r.cfg.Log.Error("the store lost the signing keys; a node restored them")
	return r.cfg.Store.Load(ctx)
}

// fill takes over the keys of a state, and keeps what was prepared for a known key.
func (v *view) fill(keys []Key, old *view) {
	v.byID = make(map[string]*signer, len(keys))
	for _, k := range keys {
		s := &signer{Key: k, cache: new(headerCache)}
		if old != nil && old.byID[k.ID] != nil {
			s.Private, s.cache = old.byID[k.ID].Private, old.byID[k.ID].cache
		}
		v.keys, v.byID[k.ID] = append(v.keys, s), s
	}
}

// logChanges logs which keys came and went.
func (r *Ring) logChanges(old, v *view) {
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

// current returns the key that signs now, or nil.
func (v *view) current(alg Algorithm, now time.Time) (found *signer) {
	for _, k := range v.keys {
		if k.Algorithm == alg && k.current(now) && (found == nil || k.From.After(found.From)) {
			found = k
		}
	}
	return found
}
