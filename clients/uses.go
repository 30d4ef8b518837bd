package clients

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// useLog is what a node has seen of secrets and not stored yet. Of a client with two secrets the
// first use of each is stored soon: by it a rotation knows which one can go.
type useLog struct {
	first chan struct{}

	mu      sync.Mutex
	leaving []*Client // out of the cache, with a use that was not stored
}

const (
	firstUseDelay = 500 * time.Millisecond // after a first use, with others that come meanwhile
	maxLeaving    = 1000
)

// enter is called for each client that comes into the cache.
func (u *useLog) enter(c *Client) {
	if len(c.Secrets) < MaxSecrets {
		return
	}
	for i := range c.Secrets {
		if c.Secrets[i].used != nil {
			c.Secrets[i].used.first = u.first
		}
	}
}

// leave is called for each client that goes, because it changed or others came.
func (u *useLog) leave(c *Client) {
	if c == nil {
		return
	}
	if !c.anyUnstored() {
		return
	}
	u.mu.Lock()
	if len(u.leaving) < maxLeaving {
		u.leaving = append(u.leaving, c)
	}
	u.mu.Unlock()
	signal(u.first)
}

func (u *useLog) take() []*Client {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := u.leaving
	u.leaving = nil
	return list
}

// wait returns after about a minute, or soon after a first use, and reports whether ctx goes on.
func (u *useLog) wait(ctx context.Context) bool {
	t := time.NewTimer(storeUsesEvery/2 + rand.N(storeUsesEvery)) // #nosec G404 -- nodes that start together do not come together
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-u.first:
		return pause(ctx, firstUseDelay)
	case <-t.C:
		return true
	}
}

// Housekeep tells Redis which clients, secrets and keys were used, until ctx ends: some a minute,
// so that no node and no hour has them all.
func (l *Cached) Housekeep(ctx context.Context, log *slog.Logger) {
	for l.uses.wait(ctx) {
		left := l.uses.take()
		list := append(append(left, l.configured.List()...), l.cache.Values()...)
		if err := l.redis.storeLastUses(context.WithoutCancel(ctx), list); err != nil {
			log.Warn("last uses of clients not stored; trying again", "error", err.Error())
			for _, c := range left {
				l.uses.leave(c)
			}
			_ = pause(ctx, storeUsesEvery) // the next use must not make it a loop
		}
	}
}

// lastUse returns when this node last saw a secret in use; zero: it did not.
func (l *Cached) lastUse(id string, h SecretHash) time.Time {
	c, ok := l.cache.Peek(id)
	if !ok || c == nil {
		return time.Time{}
	}
	for _, s := range c.Secrets {
		if s.Hash == h && s.used != nil {
			if m := s.used.minute.Load(); m > 0 {
				return time.Unix(m*60, 0)
			}
		}
	}
	return time.Time{}
}
