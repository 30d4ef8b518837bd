package jwt

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How long things last. A set is fresh for its max-age within these bounds.
const (
	minFresh      = time.Minute
	maxFresh      = time.Hour
	defaultFresh  = 5 * time.Minute
	unknownKidGap = time.Minute // between fetches for unknown kids (CJ-12)
	firstRetry    = 5 * time.Second
)

type fetchFunc func(context.Context) (*KeySet, time.Duration, error)

// Remote is a key set that is fetched at its first use and refreshed in the background. While its
// source fails, it is kept for Options.Keep. There is one fetch at a time, and for unknown kids one
// a minute.
type Remote struct {
	fetcher *Fetcher
	fetch   fetchFunc
	where   string // for the log

	mu       sync.Mutex
	told     string  // of keys that cannot be used
	set      *KeySet // nil: never had
	loaded   time.Time
	fresh    time.Duration
	tried    time.Time // when the last fetch began
	asked    time.Time
	failures int   // since the last success
	err      error // of the last fetch
	flight   chan struct{}
	waiting  atomic.Int64
}

// ErrCrowded: too many requests wait for a set that is being fetched. It says nothing of the
// source: try again.
var ErrCrowded = errors.New("too many wait for a key set that is being fetched")

// Keys implements Source.
func (r *Remote) Keys(ctx context.Context, kid string) (*KeySet, error) {
	if wait := r.start(kid); wait != nil {
		defer r.waiting.Add(-1)
		defer r.fetcher.waiting.Add(-1)
		one, all, limit := r.waiting.Add(1), r.fetcher.waiting.Add(1), int64(r.fetcher.opts.MaxWaiting)
		if limit > 0 && (one > limit || all > 2*limit) {
			return nil, ErrCrowded
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return r.current(kid)
}

// current returns what there is. A kid that is not in it is an error, not a "no", while the
// source fails.
func (r *Remote) current(kid string) (*KeySet, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	usable := r.set != nil && time.Since(r.loaded) < r.fetcher.opts.Keep
	switch {
	case usable && (r.err == nil || r.knows(kid)):
		return r.set, nil
	case r.err != nil:
		return nil, r.err
	}
	return nil, fmt.Errorf("no key set has been fetched for %s", r.fetcher.opts.Keep)
}

func (r *Remote) knows(kid string) bool { return kid == "" || r.set.has(kid) }

// start begins a fetch if one is due, and returns what to wait for; nil: the set at hand will do.
func (r *Remote) start(kid string) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.asked = now
	age := now.Sub(r.loaded)
	due, gap, wait := false, r.retryGap(), true
	switch {
	case r.set == nil || age >= r.fetcher.opts.Keep:
		due = true
	case !r.knows(kid):
		due, gap = true, unknownKidGap
	case age >= r.fresh: // a set unused for long is not used once more; while the source fails, no request waits
		due, wait = true, age >= 2*r.fresh && r.err == nil
	}
	if due && r.flight == nil && now.Sub(r.tried) >= gap {
		r.begin(now)
	}
	if !due || !wait || r.flight == nil {
		return nil
	}
	return r.flight
}

// retryGap is how long a source that fails is left alone: 5 seconds, doubled each time, at most a
// minute.
func (r *Remote) retryGap() time.Duration {
	if r.failures == 0 {
		return 0
	}
	return min(firstRetry<<min(r.failures-1, 4), unknownKidGap)
}

// begin starts the one fetch under way. The lock must be held.
func (r *Remote) begin(now time.Time) {
	done := make(chan struct{})
	started := r.fetcher.run(func() {
		defer close(done)
		r.load()
	})
	if started {
		r.flight, r.tried = done, now
	}
}

// load fetches independently of the request that started it: that request may end while others
// wait.
func (r *Remote) load() {
	ctx, cancel := context.WithTimeout(r.fetcher.ctx, r.fetcher.opts.Timeout)
	defer cancel()
	set, fresh, err := r.guarded(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flight, r.err = nil, err
	if err != nil {
		r.failures++
		return
	}
	r.set, r.loaded, r.fresh, r.failures = set, time.Now(), fresh, 0
	r.tell(set)
}

// tell logs and counts which keys of a set are passed over, once for as long as they are the same.
// A set normally has keys for other uses beside those that are needed. The lock must be held.
func (r *Remote) tell(set *KeySet) {
	passed := strings.Join(set.PassedOver(), "; ")
	if passed == r.told {
		return
	}
	if r.told = passed; passed == "" {
		return
	}
	unusable := len(set.passed) - set.others
	if count := r.fetcher.opts.PassedOver; count != nil {
		count(set.others, unusable)
	}
	about := []any{"source", r.where, "keys", passed, "usable", set.Len()}
	if unusable == 0 && set.Len() > 0 {
		r.fetcher.opts.Log.Info("published keys for another use are passed over", about...)
		return
	}
	r.fetcher.opts.Log.Warn("published keys that cannot be used are passed over", about...)
}

// guarded turns a panic into an error: the document comes from another server and is parsed outside
// of any request (CVE-2026-34986).
func (r *Remote) guarded(ctx context.Context) (set *KeySet, fresh time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the key set cannot be read: %v", p)
		}
	}()
	return r.fetch(ctx)
}

// idle says whether the set has not been used for so long.
func (r *Remote) idle(d time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flight == nil && time.Since(r.asked) >= d
}

// freshness reads max-age of a Cache-Control header (RFC 9111 §5.2.2.1), within our bounds.
func freshness(header string) time.Duration {
	fresh := defaultFresh
	for directive := range strings.SplitSeq(strings.ToLower(header), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache":
			return minFresh
		case "max-age":
			if seconds, err := strconv.Atoi(strings.Trim(value, `"`)); err == nil {
				fresh = bounded(float64(seconds))
			}
		}
	}
	return fresh
}

// bounded returns how long a set is fresh whose source says so many seconds.
func bounded(seconds float64) time.Duration {
	return time.Duration(min(max(seconds, minFresh.Seconds()), maxFresh.Seconds()) * float64(time.Second))
}
