package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// KeyHolder is the server key of one node, kept equal to the store's. A store that came back empty gets the key of a node that
// still holds one; a node that finds another key in the store adopts it, in the Codec that everybody holds.
type KeyHolder struct {
	store Store
	log   *slog.Logger
	codec *Codec
	lost  atomic.Uint64

	looks  atomic.Int64 // how many have begun
	mu     sync.Mutex   // one look at a time; of what follows
	last   error        // how the last look ended
	onLoss func(context.Context)
}

const (
	// KeyWait is how long a node without a key waits, on a store without one, for a node that holds one: four looks.
	KeyWait     = time.Second
	holderEvery = 250 * time.Millisecond
	claimEvery  = 50 * time.Millisecond
	keyRenewed  = 24 * time.Hour // far more often than it ends
)

// OpenKey returns the store's server key. Where there is none it waits up to patience for a node that puts one back, and then makes one:
// of many nodes that do so at one moment, the first decides.
func OpenKey(ctx context.Context, store Store, patience time.Duration, log *slog.Logger) (*KeyHolder, error) {
	key, err := ClaimServerKey(ctx, store, patience)
	if err != nil {
		return nil, err
	}
	return &KeyHolder{store: store, log: log, codec: NewCodec(key), onLoss: func(context.Context) {}}, nil
}

// ClaimServerKey is OpenKey for who needs the key once.
func ClaimServerKey(ctx context.Context, store Store, patience time.Duration) (ServerKey, error) {
	for begun := time.Now(); ; {
		key, err := store.ServerKey(ctx)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return key, err
		}
		if time.Since(begun) >= patience {
			return store.KeepServerKey(ctx, NewServerKey())
		}
		select {
		case <-ctx.Done():
			return ServerKey{}, ctx.Err()
		case <-time.After(claimEvery):
		}
	}
}

// Codec returns what mints and reads tokens under the key, whichever it is.
func (h *KeyHolder) Codec() *Codec { return h.codec }

// Lost counts how often this node found that the store had lost the key, and so all that it had.
func (h *KeyHolder) Lost() uint64 { return h.lost.Load() }

// OnLoss has f put back what else this node knows, before the key: who finds the key finds the rest. It must be said before Run.
func (h *KeyHolder) OnLoss(f func(context.Context)) { h.onLoss = f }

// Run compares the keys until ctx ends, and renews the lifetime of the store's. Nodes do not look at the same moment.
func (h *KeyHolder) Run(ctx context.Context) {
	var renewed time.Time
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(holderEvery*3/4 + rand.N(holderEvery/4)): // #nosec G404 -- no secret
		}
		err := h.look(ctx, true)
		if err == nil && time.Since(renewed) > keyRenewed {
			if _, err = h.store.KeepServerKey(ctx, h.codec.Key()); err == nil {
				renewed = time.Now()
			}
		}
		if err != nil && !failing && ctx.Err() == nil {
			h.log.Warn("the server key cannot be confirmed", "error", err.Error())
		}
		failing = err != nil
	}
}

// Confirm compares the keys on behalf of a request that found a token which this node's key did not mint. The look begins after
// the call did, and requests share it. An error means that it cannot be known.
func (h *KeyHolder) Confirm(ctx context.Context) error {
	looks := h.looks.Load()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.looks.Load() > looks {
		return h.last
	}
	return h.compare(context.WithoutCancel(ctx), true)
}

// Ready says whether the store holds this node's key. It only reads, and adopts what it finds.
func (h *KeyHolder) Ready(ctx context.Context) error { return h.look(ctx, false) }

// ErrNoServerKey: the store has lost the server key. A node that serves puts its own back.
var ErrNoServerKey = errors.New("the store holds no server key: it has lost its data; nodes put the key back within a second")

func (h *KeyHolder) look(ctx context.Context, restore bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.compare(ctx, restore)
}

// compare is for who holds mu.
func (h *KeyHolder) compare(ctx context.Context, restore bool) error {
	h.looks.Add(1)
	found, err := h.store.ServerKey(ctx)
	lost := errors.Is(err, ErrNotFound)
	switch {
	case lost && !restore:
		return ErrNoServerKey
	case lost:
		h.onLoss(ctx)
		found, err = h.store.KeepServerKey(ctx, h.codec.Key())
	}
	if h.last = err; err != nil {
		return fmt.Errorf("the server key: %w", err)
	}
	if lost {
		h.lost.Add(1)
		h.log.Error("the store came back without its data: earlier tokens and sessions have ended", "server_key", "restored")
	}
	if found != h.codec.Key() {
		h.codec.use(found)
		h.log.Error("the store holds another server key, which this node uses now: tokens of the earlier key have ended")
	}
	return nil
}
