package middleware

import (
	"crypto/sha256"
	"time"
)

// cache holds what tokens say, never verdicts: scope and audience are checked on every hit. Its
// key is the introspection source, the asking client and the token, so answers meant for one
// never serve another (CVE-2021-32701, GHSA-4mq7-pvjg-xp2r). Errors and "no" are not kept.
type cache struct {
	ttl     time.Duration
	entries *bounded[*Token]
	flights flights[*Token]
}

func newCache(ttl time.Duration, size int) *cache {
	return &cache{ttl: ttl, entries: newBounded[*Token](size)}
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
	t, _ := c.entries.get(k, now)
	return t
}

// put keeps an answer for the cache's time, never beyond the token's own end; a token that does
// not say its end is not kept. Nobody else has the answer yet.
func (c *cache) put(k cacheKey, t *Token, now time.Time) {
	if t.ExpiresAt.IsZero() {
		return
	}
	t.compact()
	c.entries.put(k, t, earlier(now.Add(c.ttl), t.ExpiresAt), now, 1)
}
