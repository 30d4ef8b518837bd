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

// bounded keeps values until their end. The sum of their weights never exceeds max.
type bounded[V any] struct {
	max int

	mu      sync.Mutex
	entries map[cacheKey]boundedEntry[V]
	weight  int
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
	return &bounded[V]{max: size, entries: map[cacheKey]boundedEntry[V]{}}
}

// get returns the value of k unless it has ended.
func (b *bounded[V]) get(k cacheKey, now time.Time) (v V, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.entries[k]
	if !ok {
		return v, false
	}
	if !now.Before(e.until) {
		b.remove(k, e)
		return v, false
	}
	return e.value, true
}

// put keeps v until its end. A value that is heavier than all that may be kept is not kept.
func (b *bounded[V]) put(k cacheKey, v V, until, now time.Time, weight int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.entries[k]; ok {
		b.remove(k, e)
	}
	if weight > b.max || !now.Before(until) {
		return
	}
	if b.weight+weight > b.max {
		b.evict(now, weight)
	}
	b.entries[k] = boundedEntry[V]{v, until, weight}
	b.weight += weight
}

// drop forgets the value of k.
func (b *bounded[V]) drop(k cacheKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.entries[k]; ok {
		b.remove(k, e)
	}
}

// remove forgets an entry. The lock must be held.
func (b *bounded[V]) remove(k cacheKey, e boundedEntry[V]) {
	delete(b.entries, k)
	b.weight -= e.weight
}

// evict frees weight: ended entries among the first it meets, then any, Go's map order being
// random. The lock must be held.
func (b *bounded[V]) evict(now time.Time, weight int) {
	const look = 32
	seen := 0
	for k, e := range b.entries {
		if seen++; seen > look && b.weight+weight <= b.max {
			return
		}
		if seen > look || !now.Before(e.until) {
			b.remove(k, e)
		}
	}
	for k, e := range b.entries { // fewer than look
		if b.weight+weight <= b.max {
			return
		}
		b.remove(k, e)
	}
}
