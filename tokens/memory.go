package tokens

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Memory is a Store in this process, for trials and tests: one node, lost at exit. Expired entries
// are removed, also where nobody asks for them, and the number of entries is bounded.
type Memory struct {
	key    ServerKey
	clock  atomic.Pointer[func() time.Time] // nil: time.Now
	limit  int                              // entries in a shard
	shards [memoryShards]shard

	epochs  sync.Mutex
	epoch   map[string]Epoch
	changes map[string][]Epoch // the last of each client

	served servedNames
	pulse  memoryPulse

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
		epoch: map[string]Epoch{}, changes: map[string][]Epoch{}, stop: make(chan struct{})}
	for i := range m.shards {
		m.shards[i].items = map[string]item{}
	}
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
	if t.Kind == ClientAccess {
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
	return n
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
	return m.set(s, clientTokenKey(t), &stored, now.Add(r.keepFor(now)))
}

// cloneRecord copies a record with its scope, which may be a part of a request: the request would
// stay in memory with it.
func cloneRecord(r *Record) Record {
	clone := *r
	clone.Scope = strings.Clone(r.Scope)
	return clone
}

// Load implements Store.
func (m *Memory) Load(_ context.Context, t Token) (*Record, error) {
	if t.Kind == UserAccess {
		return m.loadUser(t)
	}
	s := m.shardFor(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.get(clientTokenKey(t), m.now()).(*Record)
	if !ok {
		return nil, ErrNotFound
	}
	found := *r
	return &found, nil
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
	delete(s.items, key)
	return true, nil
}

// ClientEpochs implements Store.
func (m *Memory) ClientEpochs(_ context.Context, ids []string, held map[string]Epoch) ([]Epoch, error) {
	m.epochs.Lock()
	defer m.epochs.Unlock()
	found := make([]Epoch, len(ids))
	for i, id := range ids {
		e, ok := m.epoch[id]
		if !ok {
			if e, ok = held[id]; !ok {
				e = newEpoch()
			}
			m.epoch[id] = e
		}
		found[i] = e
	}
	return found, nil
}

// KeepClientEpochs implements Store: epochs do not expire here.
func (m *Memory) KeepClientEpochs(context.Context, []string) error { return nil }

// DisableClient implements Store.
func (m *Memory) DisableClient(_ context.Context, id string, e Epoch) error {
	m.changeEpoch(id, e, func(Epoch) Epoch { return Epoch{} })
	return nil
}

// EnableClient implements Store.
func (m *Memory) EnableClient(_ context.Context, id string, e Epoch) error {
	m.changeEpoch(id, e, func(held Epoch) Epoch {
		if held == (Epoch{}) {
			return e
		}
		return held
	})
	return nil
}

// RenewClient implements Store.
func (m *Memory) RenewClient(_ context.Context, id string, e Epoch) error {
	m.changeEpoch(id, e, func(held Epoch) Epoch {
		if held == (Epoch{}) {
			return held
		}
		return e
	})
	return nil
}

// changeEpoch makes a change, unless it is among the last ones.
func (m *Memory) changeEpoch(id string, e Epoch, next func(Epoch) Epoch) {
	m.epochs.Lock()
	defer m.epochs.Unlock()
	if slices.Contains(m.changes[id], e) {
		return
	}
	held, ok := m.epoch[id]
	if !ok {
		held = newEpoch()
	}
	m.epoch[id] = next(held)
	m.changes[id] = append([]Epoch{e}, m.changes[id][:min(len(m.changes[id]), epochChanges-1)]...)
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

func newEpoch() (e Epoch) {
	rand.Read(e[:]) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return e
}

// shardOfText picks the shard of a key that is of no token.
func shardOfText(key string) byte {
	sum := sha256.Sum256([]byte(key))
	return sum[0] % memoryShards
}
