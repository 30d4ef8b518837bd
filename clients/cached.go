package clients

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// PollChangesEvery is how often a node asks the feed for changes.
const PollChangesEvery = 250 * time.Millisecond

// DefaultCache is how many clients of Redis a node keeps in memory.
const DefaultCache = 20_000

// unknownIDs is how many ids a node remembers that no client has. They have a place of their own:
// strangers choose them, and push no client out.
const unknownIDs = 2048

// Cached is the Registry of a node: the clients of config.toml, which win, and those of Redis, of
// which it keeps the ones that it serves in a bounded cache. The feed tells it what changed; a node
// that could not follow the feed for StaleAfter refuses rather than trust what it has.
type Cached struct {
	configured *Configured
	redis      *Redis
	cache      *lru.Cache[string, *Client]
	none       *lru.Cache[string, struct{}] // ids that no client has

	mu      sync.Mutex // of position and of what follows from it
	at      position
	version atomic.Uint64             // counts what was thrown out: a load that began before must not come in after
	fresh   atomic.Pointer[time.Time] // when the feed was last known whole; the clock is read before it is asked

	uses useLog

	hits, misses, unknown atomic.Uint64
}

// NewCached follows the feed of d from now on. Ids of static clients win over those of Redis. size
// 0: DefaultCache.
func NewCached(ctx context.Context, static *Configured, d *Redis, size int) (*Cached, error) {
	if size == 0 {
		size = DefaultCache
	}
	l := &Cached{configured: static, redis: d, uses: useLog{first: make(chan struct{}, 1)}}
	var err error
	if l.cache, err = lru.NewWithEvict(size, func(_ string, c *Client) { l.uses.leave(c) }); err != nil {
		return nil, err
	}
	if l.none, err = lru.New[string, struct{}](unknownIDs); err != nil {
		return nil, err
	}
	return l, l.readChanges(ctx)
}

// Run follows the feed until ctx ends. An error is logged when it begins, not at every turn.
func (l *Cached) Run(ctx context.Context, log *slog.Logger) {
	poll{
		every: PollChangesEvery, ask: l.readChanges,
		failed:    "cannot read the client change stream; refusing registered clients",
		recovered: "the client change stream is read again",
	}.run(ctx, log)
}

// readChanges reads the feed to its end.
func (l *Cached) readChanges(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		asked := time.Now()
		n, err := l.redis.changesSince(ctx, l.at)
		if err != nil {
			return err
		}
		if n.reset {
			l.version.Add(1)
			l.cache.Purge()
			l.none.Purge()
		}
		for _, id := range n.changed {
			l.version.Add(1)
			l.cache.Remove(id)
			l.none.Remove(id)
		}
		l.at = n.at
		if !n.reset && !n.more {
			l.fresh.Store(&asked)
			return nil
		}
	}
}

// Changed makes this node see a change of a client that it made itself, before any answer says
// that it was made: the feed brings it to the others.
func (l *Cached) Changed(ctx context.Context, id string) {
	l.mu.Lock()
	l.version.Add(1)
	l.cache.Remove(id)
	l.none.Remove(id)
	l.mu.Unlock()
	l.configured.changed(ctx, id)
}

// Fresh returns ErrStale when the node cannot know of all changes.
func (l *Cached) Fresh() error {
	if l.stale() {
		return ErrStale
	}
	return l.configured.Fresh()
}

func (l *Cached) stale() bool {
	at := l.fresh.Load()
	return at == nil || time.Since(*at) > StaleAfter
}

// Age returns how long ago the client change stream was known whole; NewCached has read it once.
func (l *Cached) Age() time.Duration {
	if at := l.fresh.Load(); at != nil {
		return time.Since(*at)
	}
	return 0
}

// Get implements Registry.
func (l *Cached) Get(ctx context.Context, id string) (*Client, error) {
	c, err := l.configured.Get(ctx, id)
	if !errors.Is(err, ErrUnknown) {
		return c, err
	}
	if l.stale() {
		return nil, ErrStale
	}
	if c, ok := l.cache.Get(id); ok {
		l.hits.Add(1)
		return c, nil
	}
	if _, ok := l.none.Get(id); ok {
		l.hits.Add(1)
		return nil, ErrUnknown
	}
	l.misses.Add(1)
	return l.load(ctx, id)
}

// load asks Redis, and keeps the answer unless something was thrown out meanwhile: it may be older
// than that.
func (l *Cached) load(ctx context.Context, id string) (*Client, error) {
	if CheckID(id) != nil {
		return nil, ErrUnknown
	}
	version := l.version.Load()
	c, err := l.redis.client(ctx, id)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return nil, err
	}
	if c == nil {
		l.unknown.Add(1)
	} else {
		l.uses.enter(c)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.version.Load() != version {
		return c, err
	}
	id = strings.Clone(id) // it is a part of a request, which would stay in memory with it
	if c == nil {
		l.none.Add(id, struct{}{})
	} else {
		l.cache.Add(id, c)
	}
	return c, err
}

// client loads a registration as a Client.
func (d *Redis) client(ctx context.Context, id string) (*Client, error) {
	s, err := d.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	c, err := s.Client()
	if err != nil {
		return nil, errors.Join(ErrRecord, err)
	}
	c.stand(current{epoch: s.Epoch, edition: s.Edition})
	return c, nil
}

// CacheStats counts look-ups of clients of Redis since NewCached.
type CacheStats struct {
	Hits, Misses, Unknown uint64
	Cached                int // clients
	UnknownIDs            int // ids that no client has
}

// Stats returns the counts.
func (l *Cached) Stats() CacheStats {
	return CacheStats{l.hits.Load(), l.misses.Load(), l.unknown.Load(), l.cache.Len(), l.none.Len()}
}
