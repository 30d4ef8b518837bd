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

	"github.com/grantor-auth/grantor/tokens/feed"
)

// KeyHolder keeps the server key of one node equal to the store's. A store that lost its data gets
// the key of a node that still has one. A node that finds another key in the store adopts it.
type KeyHolder struct {
	store Store
	log   *slog.Logger
	codec *Codec
	lost  atomic.Uint64

	begun  atomic.Int64 // comparisons that have begun
	mu     sync.Mutex   // guards what follows; one comparison at a time
	last   error        // result of the last comparison
	onLoss func(context.Context)
	marked bool // the revocation feed was enabled: whoever knows that restores it
}

const (
	// KeyWait is how long a node without a key waits for a node that has one.
	KeyWait     = time.Second
	holderEvery = 250 * time.Millisecond
	claimEvery  = 50 * time.Millisecond
	keyRenewed  = 24 * time.Hour // far more often than it expires
	markEvery   = 5 * time.Second
)

// OpenKey returns a holder of the store's server key. Where there is none, it waits for another
// node to restore one, and then makes one: of many nodes that do so at once, the first decides.
func OpenKey(ctx context.Context, store Store, wait time.Duration, log *slog.Logger) (*KeyHolder, error) {
	key, err := ClaimServerKey(ctx, store, wait)
	if err != nil {
		return nil, err
	}
	h := &KeyHolder{store: store, log: log, codec: NewCodec(key), onLoss: func(context.Context) {}}
	_ = h.keepMark(ctx) // Run repeats it
	return h, nil
}

// ClaimServerKey returns the key as OpenKey does, for a program that needs it once.
func ClaimServerKey(ctx context.Context, store Store, wait time.Duration) (ServerKey, error) {
	for begun := time.Now(); ; {
		key, err := store.ServerKey(ctx)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return key, err
		}
		if time.Since(begun) >= wait {
			return makeServerKey(ctx, store)
		}
		select {
		case <-ctx.Done():
			return ServerKey{}, ctx.Err()
		case <-time.After(claimEvery):
		}
	}
}

// makeServerKey makes the first key of a store. Nobody served from it before, so every node that
// does will append to the revocation feed: it is enabled.
func makeServerKey(ctx context.Context, store Store) (ServerKey, error) {
	fresh := NewServerKey()
	key, err := store.KeepServerKey(ctx, fresh)
	if err != nil || key != fresh {
		return key, err // another node was first
	}
	if err = store.Feed().Enable(ctx); err != nil {
		err = fmt.Errorf("the revocation feed could not be enabled; when no node of an earlier version serves, run: grantor feed enable: %w", err)
	}
	return key, err
}

// keepMark puts back what says that the revocation feed is enabled, if this node has ever seen it
// in the store: nothing takes it away but a loss of data.
func (h *KeyHolder) keepMark(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	enabled, err := h.store.Feed().Enabled(ctx)
	if err == nil && h.marked && !enabled {
		err = h.enableAgain(ctx)
	}
	h.marked = h.marked || enabled
	return err
}

// enableAgain enables the feed of a store that lost data: nobody can tell what had ended.
func (h *KeyHolder) enableAgain(ctx context.Context) error {
	stream := h.store.Feed()
	if err := stream.Append(ctx, feed.End{Names: []string{feed.Nameless}}); err != nil {
		return err
	}
	return stream.Enable(ctx)
}

// Codec mints and reads tokens under the present key.
func (h *KeyHolder) Codec() *Codec { return h.codec }

// Lost counts how often this node found that the store had lost the key, hence all its data.
func (h *KeyHolder) Lost() uint64 { return h.lost.Load() }

// OnLoss sets what restores other data of this node in an empty store. f runs before the key is
// restored: a node that finds the key finds the rest. OnLoss must be called before Run.
func (h *KeyHolder) OnLoss(f func(context.Context)) { h.onLoss = f }

// Run compares the keys until ctx ends, and extends the lifetime of the stored key. The pauses are
// random, so that nodes do not compare in the same moment.
func (h *KeyHolder) Run(ctx context.Context) {
	var renewed, marked time.Time
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(holderEvery*3/4 + rand.N(holderEvery/4)): // #nosec G404 -- no secret
		}
		err := h.compareKeys(ctx, true)
		if err == nil && time.Since(renewed) > keyRenewed {
			if _, err = h.store.KeepServerKey(ctx, h.codec.Key()); err == nil {
				renewed = time.Now()
			}
		}
		if err == nil && time.Since(marked) > markEvery {
			if err = h.keepMark(ctx); err == nil {
				marked = time.Now()
			}
		}
		if err != nil && !failing && ctx.Err() == nil {
			h.log.Warn("the server key cannot be confirmed", "error", err.Error())
		}
		failing = err != nil
	}
}

// Confirm compares the keys for a request with a token that this node's key did not mint. The
// comparison begins after the call; requests share it. An error: the key could not be confirmed.
func (h *KeyHolder) Confirm(ctx context.Context) error {
	begun := h.begun.Load()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.begun.Load() > begun {
		return h.last
	}
	return h.compare(context.WithoutCancel(ctx), true)
}

// Ready returns nil if the store has this node's key. It writes nothing, and adopts what it finds.
func (h *KeyHolder) Ready(ctx context.Context) error { return h.compareKeys(ctx, false) }

// ErrNoServerKey: the store has lost the server key. A serving node restores its own.
var ErrNoServerKey = errors.New("the store holds no server key: it has lost its data; nodes put the key back within a second")

func (h *KeyHolder) compareKeys(ctx context.Context, restore bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.compare(ctx, restore)
}

// compare compares the keys. mu must be held.
func (h *KeyHolder) compare(ctx context.Context, restore bool) error {
	h.begun.Add(1)
	found, err := h.store.ServerKey(ctx)
	lost := errors.Is(err, ErrNotFound)
	switch {
	case lost && !restore:
		return ErrNoServerKey
	case lost:
		h.onLoss(ctx)
		if h.marked {
			_ = h.enableAgain(ctx) // keepMark repeats it
		}
		found, err = h.store.KeepServerKey(ctx, h.codec.Key())
	}
	if h.last = err; err != nil {
		return fmt.Errorf("the server key: %w", err)
	}
	if lost {
		h.lost.Add(1)
		h.log.Error("the store came back without its data", "server_key", "restored",
			"effect", "earlier tokens and sessions have ended")
	}
	if found != h.codec.Key() {
		h.codec.use(found)
		h.log.Error("the store has another server key; this node uses it",
			"effect", "tokens of the earlier key have ended")
	}
	return nil
}
