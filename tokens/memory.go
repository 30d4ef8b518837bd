package tokens

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grantor-auth/grantor/tokens/feed"
)

// Memory is a Store in this process, for trials and tests: one node, lost at exit. Expired entries
// are removed, also where nobody asks for them, and the number of entries is bounded.
type Memory struct {
	key    ServerKey
	clock  atomic.Pointer[func() time.Time] // nil: time.Now
	limit  int                              // entries in a shard
	shards [memoryShards]shard
	proofs shard // locked last

	epochs  sync.Mutex
	clients map[string]*clientEpoch

	served servedNames
	pulse  memoryPulse
	feed   *feed.Memory

	stop chan struct{}
	done sync.WaitGroup
}

const (
	memoryShards = 64
	// DefaultMemoryLimit is how many entries a Memory holds at most, unless NewMemory gets another
	// limit.
	DefaultMemoryLimit = 1 << 20
	sweepEvery         = time.Second
)

// shard holds the keys of some users and some tokens. All keys of one user are in one shard, so its
// lock makes an operation atomic.
type shard struct {
	mu    sync.Mutex
	items map[string]item
}

type item struct {
	value   any // immutable
	expires time.Time
}

// NewMemory returns a store of at most limit entries (0: DefaultMemoryLimit). Close stops its
// sweeper.
func NewMemory(limit int) *Memory {
	if limit <= 0 {
		limit = DefaultMemoryLimit
	}
	m := &Memory{key: NewServerKey(), limit: max(1, limit/memoryShards),
		clients: map[string]*clientEpoch{}, stop: make(chan struct{})}
	for i := range m.shards {
		m.shards[i].items = map[string]item{}
	}
	m.proofs.items = map[string]item{}
	m.feed = feed.NewMemory(m.now)
	m.pulse.beat(time.Now())
	m.done.Go(m.sweep)
	return m
}

// Close stops the sweeper. The store must not be used afterwards.
func (m *Memory) Close() error {
	close(m.stop)
	m.done.Wait()
	return nil
}

// sweep removes what has expired, from an eighth of the shards at a time: no request waits long.
func (m *Memory) sweep() {
	tick := time.NewTicker(sweepEvery / 8)
	defer tick.Stop()
	for turn := 0; ; turn++ {
		select {
		case <-m.stop:
			return
		case <-tick.C:
			m.pulse.beat(time.Now()) // the time of the tick may be old
			now := m.now()
			for i := turn % 8; i < len(m.shards); i += 8 {
				m.shards[i].expire(now)
			}
			if turn%8 == 0 {
				m.proofs.expire(now)
			}
		}
	}
}

func (s *shard) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, it := range s.items {
		if !now.Before(it.expires) {
			delete(s.items, k)
		}
	}
}

// shardFor returns the shard of a token's record: by its user, or by its own hash.
func (m *Memory) shardFor(t Token) *shard {
	if t.Kind == ClientAccess || t.Kind == ClientKey {
		return &m.shards[t.Hash[0]%memoryShards]
	}
	return &m.shards[t.Tag[0]%memoryShards]
}

// get returns a value that has not expired. The shard must be locked.
func (s *shard) get(key string, now time.Time) any {
	it, ok := s.items[key]
	if !ok {
		return nil
	}
	if !now.Before(it.expires) {
		delete(s.items, key)
		return nil
	}
	return it.value
}

// set stores a value unless the shard is full. The shard must be locked.
func (m *Memory) set(s *shard, key string, value any, expires time.Time) error {
	if _, replaces := s.items[key]; !replaces && len(s.items) >= m.limit {
		return ErrFull
	}
	s.items[key] = item{value, expires}
	return nil
}

// Len is the number of entries, expired ones included until they are swept.
func (m *Memory) Len() (n int) {
	for i := range m.shards {
		m.shards[i].mu.Lock()
		n += len(m.shards[i].items)
		m.shards[i].mu.Unlock()
	}
	m.proofs.mu.Lock()
	defer m.proofs.mu.Unlock()
	return n + len(m.proofs.items)
}

// Now implements Store: this process is the store.
func (m *Memory) Now() time.Time { return m.now() }

// SetClock sets the clock that decides what has expired, in place of time.Now. The clock may jump,
// but not back.
func (m *Memory) SetClock(now func() time.Time) { m.clock.Store(&now) }

func (m *Memory) now() time.Time {
	if now := m.clock.Load(); now != nil {
		return (*now)()
	}
	return time.Now()
}

// Issue implements Store.
func (m *Memory) Issue(_ context.Context, t Token, r *Record) error {
	s := m.shardFor(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	stored := cloneRecord(r)
	now := m.now()
	if t.Kind == UserAccess {
		return m.set(s, userTokenKey(t), stored, now.Add(r.keepFor(now)))
	}
	return m.set(s, clientTokenKey(t), &stored, now.Add(r.keepFor(now)))
}

// cloneRecord copies a record with its scope, which may be a part of a request: the request would
// stay in memory with it.
func cloneRecord(r *Record) Record {
	clone := *r
	clone.Scope = strings.Clone(r.Scope)
	if r.Exchange != nil {
		e := *r.Exchange
		clone.Exchange, e.Chain = &e, nil
	}
	return clone
}

// Load implements Store.
func (m *Memory) Load(_ context.Context, t Token) (*Record, error) {
	if t.Kind == UserAccess {
		return m.loadUser(t)
	}
	found, ok := m.loadClient(t)
	if !ok {
		return nil, ErrRecordGone
	}
	if found.Exchange == nil {
		return &found, nil
	}
	e := *found.Exchange
	found.Exchange = &e
	for _, p := range e.parentTokens(t) { // each is in a shard of its own
		r, ok := m.loadClient(p)
		if !ok {
			return nil, ErrParentGone
		}
		e.Chain = e.with(&r)
	}
	return &found, nil
}

// loadClient returns the record of a client's token, or of an API key.
func (m *Memory) loadClient(t Token) (Record, bool) {
	s := m.shardFor(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.get(clientTokenKey(t), m.now()).(*Record)
	if !ok {
		return Record{}, false
	}
	return *r, true
}

// Revoke implements Store.
func (m *Memory) Revoke(_ context.Context, t Token, clientID string) (bool, error) {
	switch t.Kind {
	case UserAccess:
		return m.revokeUser(t, clientID), nil
	case Refresh:
		return m.endSession(t.Tag, t.Session, clientID), nil
	}
	s := m.shardFor(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	key := clientTokenKey(t)
	r, ok := s.get(key, m.now()).(*Record)
	if !ok || r.ClientID != clientID {
		return false, nil
	}
	m.ended(t.Name())
	delete(s.items, key)
	return true, nil
}

// Once implements Store.
func (m *Memory) Once(_ context.Context, key string, ttl time.Duration) (bool, error) {
	s := &m.shards[shardOfText(key)]
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	if s.get("o:"+key, now) != nil {
		return false, nil
	}
	return true, m.set(s, "o:"+key, true, now.Add(ttl))
}

// ServerKey implements Store.
func (m *Memory) ServerKey(context.Context) (ServerKey, error) { return m.key, nil }

// KeepServerKey implements Store: the key is there from the start.
func (m *Memory) KeepServerKey(context.Context, ServerKey) (ServerKey, error) { return m.key, nil }

// Ping implements Store.
func (m *Memory) Ping(context.Context) error { return nil }

// shardOfText picks the shard of a key that is of no token.
func shardOfText(key string) byte {
	sum := sha256.Sum256([]byte(key))
	return sum[0] % memoryShards
}
