package ratelimit

import (
	"sync"
	"time"
)

// Limit is how often somebody may ask.
type Limit struct {
	PerSecond int // requests; 0 or less: no limit
	Burst     int // requests at once; 0: PerSecond
}

func (l Limit) rate() float64 { return float64(l.PerSecond) }

func (l Limit) burst() float64 {
	if l.Burst > 0 {
		return float64(l.Burst)
	}
	return float64(l.PerSecond)
}

// bucket is what a node knows of one limit. Its level is below zero while other nodes let through
// more than there was.
type bucket struct {
	name   string // of the limit; "" where it is not shared
	mu     sync.Mutex
	limit  Limit
	level  float64
	at     time.Time // of level
	gone   bool      // nobody finds it any more
	queued bool      // the next exchange tells of it
	untold int       // requests that no exchange told of
	first  time.Time // the first of them
}

func newBucket(name string, l Limit, now time.Time) *bucket {
	return &bucket{name: name, limit: l, level: l.burst(), at: now}
}

// taken is what a bucket says to one request.
type taken struct {
	wait time.Duration // 0: it may go on
	gone bool          // ask another bucket
	news bool          // the first that the next exchange must tell of
}

// take counts one request, unless the limit is reached.
func (b *bucket) take(now time.Time, l Limit) taken {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return taken{gone: true}
	}
	b.limit = l
	b.refill(now)
	if b.level < 1 {
		return taken{wait: time.Duration((1-b.level)/l.rate()*float64(time.Second)) + 1}
	}
	b.level--
	if b.name == "" {
		return taken{}
	}
	if b.untold == 0 {
		b.first = now
	}
	b.untold++
	news := !b.queued
	b.queued = true
	return taken{news: news}
}

// refill brings the level to this moment. b.mu is held.
func (b *bucket) refill(now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.level += b.limit.rate() * passed.Seconds()
		b.at = now
	}
	b.level = min(b.level, b.limit.burst())
}

// report takes what the next exchange tells. Of requests that will be older than MaxAge it leaves
// out what the bucket would have gained meanwhile: a client inside its limit must not be refused
// because a node was held up.
func (b *bucket) report(now time.Time) Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := float64(b.untold)
	if late := now.Sub(b.first) - (MaxAge - MaxWay); late > 0 {
		count = max(0, count-b.limit.rate()*late.Seconds())
	}
	b.untold, b.queued = 0, false
	return Report{Name: b.name, Limit: b.limit, Count: int(count)}
}

// learn takes what all nodes have left, as of an exchange that was sent at a moment. Requests that
// came since are not in it.
func (b *bucket) learn(left float64, sent, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.level = min(left, b.limit.burst()) + b.limit.rate()*now.Sub(sent).Seconds() - float64(b.untold)
	b.at = now
	b.level = min(b.level, b.limit.burst())
}

// leave ends a bucket that is full, and as good as a new one.
func (b *bucket) leave(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill(now)
	b.gone = b.level >= b.limit.burst() && b.untold == 0 && !b.queued
	return b.gone
}
