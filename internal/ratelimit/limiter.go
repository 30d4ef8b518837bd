package ratelimit

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Limiter counts requests against limits. Methods may be called by any number of goroutines.
type Limiter struct {
	exchanger Exchanger    // nil: this node counts alone
	log       *slog.Logger // set by Run

	shared    sync.Map                    // name → *bucket, that all nodes share
	own       sync.Map                    // name → *bucket, of this node
	strangers *lru.Cache[string, *bucket] // of this node, where anybody may choose the name
	alone     atomic.Bool                 // the last exchange failed
	wake      chan struct{}               // some bucket has news

	mu   sync.Mutex
	news []*bucket
}

// maxStrangers is how many names are remembered that anybody may choose. A forgotten one begins
// anew.
const maxStrangers = 1 << 14

const (
	// Every is how long a node counts alone before it tells others.
	Every = 100 * time.Millisecond
	// MaxAge is how old a count may be when it arrives, and MaxWay how long an exchange may take, for
	// the promises of the package to hold.
	MaxAge = 250 * time.Millisecond
	MaxWay = 50 * time.Millisecond
	// maxNews bounds what exchanges cost: for so many limits at once a node waits once more.
	maxNews = 1000
	// sweepEvery is how often buckets are dropped that nobody uses.
	sweepEvery = time.Minute
)

// New returns a limiter. x shares limits with other nodes, and Run must run then; nil: this node
// counts alone.
func New(x Exchanger) (*Limiter, error) {
	strangers, err := lru.New[string, *bucket](maxStrangers)
	return &Limiter{exchanger: x, strangers: strangers, wake: make(chan struct{}, 1)}, err
}

// TakeShared counts one request of a name on all nodes together, and returns how long to wait; 0:
// the request may go on.
func (l *Limiter) TakeShared(name string, limit Limit) time.Duration {
	if l.exchanger == nil {
		return l.take(&l.own, name, "", limit)
	}
	return l.take(&l.shared, name, name, limit)
}

// Take is TakeShared on this node alone.
func (l *Limiter) Take(name string, limit Limit) time.Duration {
	return l.take(&l.own, name, "", limit)
}

// TakeStranger is Take for names that anybody may choose: of many names some are forgotten.
func (l *Limiter) TakeStranger(name string, limit Limit) time.Duration {
	now := time.Now()
	b, ok := l.strangers.Get(name)
	if !ok {
		b = newBucket("", limit, now)
		if found, ok, _ := l.strangers.PeekOrAdd(name, b); ok {
			b = found
		}
	}
	return b.take(now, limit).wait
}

func (l *Limiter) take(buckets *sync.Map, name, shared string, limit Limit) time.Duration {
	for {
		now := time.Now()
		v, ok := buckets.Load(name)
		if !ok {
			v, _ = buckets.LoadOrStore(name, newBucket(shared, limit, now))
		}
		b := v.(*bucket)
		t := b.take(now, limit)
		if t.gone {
			buckets.CompareAndDelete(name, b)
			continue
		}
		if t.news {
			l.tell(b)
		}
		return t.wait
	}
}

// tell lets the next exchange tell of a bucket.
func (l *Limiter) tell(b *bucket) {
	l.mu.Lock()
	l.news = append(l.news, b)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Shared says whether limits hold over all nodes: false after an exchange that failed.
func (l *Limiter) Shared() bool { return l.exchanger != nil && !l.alone.Load() }

// Run exchanges counts, where there are any, and drops buckets that nobody uses, until ctx ends.
func (l *Limiter) Run(ctx context.Context, log *slog.Logger) {
	l.log = log
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			l.sweep()
		case <-l.wake:
			told := l.exchange(context.WithoutCancel(ctx))
			if !pause(ctx, Every*time.Duration(1+told/maxNews)) {
				return
			}
		}
	}
}

// sweep drops buckets that are as good as new ones.
func (l *Limiter) sweep() {
	now := time.Now()
	for _, buckets := range []*sync.Map{&l.shared, &l.own} {
		buckets.Range(func(name, b any) bool {
			if b.(*bucket).leave(now) {
				buckets.CompareAndDelete(name, b)
			}
			return true
		})
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
