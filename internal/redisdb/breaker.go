package redisdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis/v8"
)

// breaker stops sending to a Redis that does not answer: after some attempts in a row without an
// answer, commands fail at once. So an outage costs microseconds, not timeouts and connections.
// Meanwhile one goroutine probes Redis and closes the breaker when Redis answers.
//
// It is the redis.Limiter of one server's pool. Any answer counts, also an error: with its memory
// full, Redis still serves reads and revocations.
type breaker struct {
	log   *slog.Logger
	probe func() error // probes Redis past the breaker
	sweep func()       // closes broken connections
	down  func()       // called after each failed probe

	failures atomic.Int32
	open     atomic.Bool
	lastErr  atomic.Value // of error, boxed

	mu      sync.Mutex
	stopped bool
	quit    chan struct{}
	watcher sync.WaitGroup // its own, and those of spawn
}

const (
	breakAfter    = 3 // attempts in a row
	probeInterval = 100 * time.Millisecond
)

// errBroken says that Redis was not asked because it did not answer just before.
type errBroken struct{ cause error }

func (e errBroken) Error() string   { return fmt.Sprintf("not asked, since just now: %v", e.cause) }
func (e errBroken) Unwrap() []error { return []error{ErrUnavailable, e.cause} }

type boxed struct{ error }

// Allow implements redis.Limiter.
func (b *breaker) Allow() error {
	if !b.open.Load() {
		return nil
	}
	cause, _ := b.lastErr.Load().(boxed)
	return errBroken{cause.error}
}

// ReportResult implements redis.Limiter.
func (b *breaker) ReportResult(err error) {
	if answered(err) {
		if b.failures.Load() != 0 { // written only if need be: all commands share it
			b.failures.Store(0)
		}
		return
	}
	if ignored(err) {
		return
	}
	b.lastErr.Store(boxed{err})
	if b.failures.Add(1) >= breakAfter {
		b.trip(err)
	}
}

// answered says whether Redis answered, be it with an error.
func answered(err error) bool {
	if err == nil {
		return true
	}
	_, ok := reply(err)
	return ok
}

// ignored says whether an error says nothing about Redis: our own refusal, our own pool's end or
// limit. v8 does not export the error of a pool that is used up.
func ignored(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, redis.ErrClosed) || err.Error() == "redis: connection pool timeout"
}

// trip opens the breaker and sets a watcher.
func (b *breaker) trip(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped || !b.open.CompareAndSwap(false, true) {
		return
	}
	b.watcher.Go(func() { b.watch(cause) })
}

// watch probes until Redis answers, then closes the breaker. A sweep precedes each probe, the first
// at once: the failures may come from connections that broke long ago.
func (b *breaker) watch(cause error) {
	begun, told := time.Now(), false
	for {
		b.sweep()
		err := b.probe()
		if errors.Is(err, redis.ErrClosed) {
			return // the server has left the Cluster
		}
		if answered(err) {
			break
		}
		if !told {
			b.log.Error("redis does not answer", "error", cause.Error())
			told = true
		}
		b.down()
		select {
		case <-b.quit:
			return
		case <-time.After(probeInterval):
		}
	}
	b.failures.Store(0)
	b.open.Store(false)
	if told {
		b.log.Info("redis answers again", "after_ms", time.Since(begun).Milliseconds())
	}
}

// spawn runs f, which must end soon after quit is closed, and reports false when that has happened.
func (b *breaker) spawn(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.stopped {
		b.watcher.Go(f)
	}
	return !b.stopped
}

// stop makes the watchers end, if there are any.
func (b *breaker) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.stopped {
		b.stopped = true
		close(b.quit)
	}
}

// wait waits until stopped watchers have ended.
func (b *breaker) wait() { b.watcher.Wait() }

// newBreaker returns a closed breaker; probe and sweep are set by newNode.
func newBreaker(log *slog.Logger) *breaker {
	return &breaker{log: log, down: func() {}, quit: make(chan struct{})}
}

// sweepIdle pings all idle connections of a pool at one moment, and dials so many more, so that
// broken ones leave the pool. v8 checks a connection only when it uses it, and it uses the most
// recent first.
func sweepIdle(client *redis.Client, more int) {
	ctx := context.Background()
	idle := int(client.PoolStats().IdleConns)
	conns := make([]*redis.Conn, idle+more)
	var asked sync.WaitGroup
	for i := range conns {
		conns[i] = client.Conn(ctx)
		asked.Go(func() { _ = conns[i].Ping(ctx).Err() })
	}
	asked.Wait()
	for _, c := range conns {
		_ = c.Close()
	}
}
