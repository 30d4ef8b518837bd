package middleware

import (
	"crypto/sha256"
	"sync"
	"time"
)

// cacheKey is a hash of a token and what else an entry depends on. No text of a token is kept.
type cacheKey [sha256.Size]byte

// defaultCacheSize is how many entries a cache has that is given no size.
const defaultCacheSize = 10_000

// A cache of at least manyEntries is divided, so that few wait for one lock.
const (
	manyEntries = 4096
	manyShards  = 16
)

// bounded keeps values until their end. The sum of their weights never exceeds its size.
type bounded[V any] struct {
	shards []shard[V]
}

// shard is a part of the keys.
type shard[V any] struct {
	max int

	mu      sync.Mutex
	entries map[cacheKey]boundedEntry[V]
	weight  int

	_ [32]byte // a cache line each
}

type boundedEntry[V any] struct {
	value  V
	until  time.Time
	weight int
}

func newBounded[V any](size int) *bounded[V] {
	if size == 0 {
		size = defaultCacheSize
	}
	count := 1
	if size >= manyEntries {
		count = manyShards
	}
	b := &bounded[V]{shards: make([]shard[V], count)}
	for i := range b.shards {
		b.shards[i].max, b.shards[i].entries = size/count, map[cacheKey]boundedEntry[V]{}
	}
	return b
}

func (b *bounded[V]) of(k cacheKey) *shard[V] { return &b.shards[int(k[0])%len(b.shards)] }

// get returns the value of k unless it has ended.
func (b *bounded[V]) get(k cacheKey, now time.Time) (v V, ok bool) {
	s := b.of(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[k]
	if !ok {
		return v, false
	}
	if !now.Before(e.until) {
		s.remove(k, e)
		return v, false
	}
	return e.value, true
}

// put keeps v until its end. A value that is heavier than all that may be kept is not kept.
func (b *bounded[V]) put(k cacheKey, v V, until, now time.Time, weight int) {
	s := b.of(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[k]; ok {
		s.remove(k, e)
	}
	if weight > s.max || !now.Before(until) {
		return
	}
	if s.weight+weight > s.max {
		s.evict(now, weight)
	}
	s.entries[k] = boundedEntry[V]{v, until, weight}
	s.weight += weight
}

// drop forgets the value of k.
func (b *bounded[V]) drop(k cacheKey) {
	s := b.of(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[k]; ok {
		s.remove(k, e)
	}
}

// remove forgets an entry. The lock must be held.
func (s *shard[V]) remove(k cacheKey, e boundedEntry[V]) {
	delete(s.entries, k)
	s.weight -= e.weight
}

// evict frees weight: ended entries among the first it meets, then any, Go's map order being
// random. The lock must be held.
func (s *shard[V]) evict(now time.Time, weight int) {
	const look = 32
	seen := 0
	for k, e := range s.entries {
		if seen++; seen > look && s.weight+weight <= s.max {
			return
		}
		if seen > look || !now.Before(e.until) {
			s.remove(k, e)
		}
	}
	for k, e := range s.entries { // fewer than look
		if s.weight+weight <= s.max {
			return
		}
		s.remove(k, e)
	}
}
