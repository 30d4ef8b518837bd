package middleware

import (
	"crypto/sha256"
	"sync"
	"time"
)

// cache holds what tokens say, never verdicts: scope and audience are checked on every hit. Its key
// is the introspection source, the asking client and the token, so answers meant for one never serve
// another (CVE-2021-32701, GHSA-4mq7-pvjg-xp2r). Errors and "no" are not kept.
type cache struct {
	ttl  time.Duration
	size int

	mu      sync.Mutex
	entries map[cacheKey]cacheEntry
}

type cacheKey [sha256.Size]byte

type cacheEntry struct {
	token *Token
	until time.Time
}

func newCache(ttl time.Duration, size int) *cache {
	if size == 0 {
		size = 10_000
	}
	return &cache{ttl: ttl, size: size, entries: map[cacheKey]cacheEntry{}}
}

func (*cache) key(source, clientID, token string) (k cacheKey) {
	h := sha256.New()
	for _, part := range []string{source, clientID, token} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	h.Sum(k[:0])
	return k
}

func (c *cache) get(k cacheKey, now time.Time) *Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[k]
	if !ok {
		return nil
	}
	if !now.Before(e.until) {
		delete(c.entries, k)
		return nil
	}
	return e.token
}

// put keeps an answer for the cache's time, never beyond the token's own end; a token that does not say
// its end is not kept.
func (c *cache) put(k cacheKey, t *Token, now time.Time) {
	until := now.Add(c.ttl)
	if t.ExpiresAt.IsZero() {
		return
	}
	if t.ExpiresAt.Before(until) {
		until = t.ExpiresAt
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= c.size {
		c.evict(now)
	}
	c.entries[k] = cacheEntry{t, until}
}

// evict makes room: what is over, else some entry, Go's map order being random. The lock must be held.
func (c *cache) evict(now time.Time) {
	const look = 32
	seen := 0
	for k, e := range c.entries {
		if seen++; !now.Before(e.until) || seen > look {
			delete(c.entries, k)
		}
		if seen > look && len(c.entries) < c.size {
			return
		}
	}
	if len(c.entries) < c.size {
		return
	}
	for k := range c.entries {
		delete(c.entries, k)
		return
	}
}
