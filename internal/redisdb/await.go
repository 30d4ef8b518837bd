package redisdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-redis/redis/v8"
)

// waiters are the connections on which commands block, apart from all others: whoever waits for
// something new must hold up nobody, and no timeout or breaker must count the wait.
type waiters struct {
	mu     sync.Mutex
	client *redis.Client // to the server at addr
	addr   string        // "": wherever the primary is
	closed bool
}

const (
	maxWaiters    = 16               // goroutines of this node in AwaitEntry
	waiterTimeout = 10 * time.Second // of an answer; the context of each call has less
	noRetries     = -1               // v8's word for none
)

// AwaitEntry returns nil when the stream at key may have an entry behind id ("0": any), and after
// atMost (less than 10 s) at the latest, or earlier. It proves nothing: it saves a caller from
// reading in vain. An error comes at once; whoever calls again must make a pause.
func (d *DB) AwaitEntry(ctx context.Context, key, id string, atMost time.Duration) error {
	key = d.Key(key)
	client, err := d.waiters.of(ctx, d, key)
	if err != nil {
		return wrapRead(err)
	}
	ctx, cancel := context.WithTimeout(ctx, atMost+d.cfg.Timeout) // v8 closes the connection when it ends
	defer cancel()
	err = client.Process(ctx, redis.NewCmd(ctx, "xread", "count", 1, "block", max(atMost, time.Millisecond).Milliseconds(), "streams", key, id))
	if err == nil || err == redis.Nil { //nolint:errorlint // v8 never wraps it
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	if d.cluster != nil && d.elsewhere(err) {
		d.cluster.ReloadState(ctx)
	}
	return wrapRead(err)
}

// of returns the client for a key, and opens it at the first call, and where another server has the
// key.
func (w *waiters) of(ctx context.Context, d *DB, key string) (*redis.Client, error) {
	addr := ""
	if d.cluster != nil {
		n, err := d.nodeOf(ctx, key)
		if err != nil {
			return nil, err
		}
		addr = n.client.Options().Addr
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return nil, errClosed
	case w.client != nil && w.addr == addr:
		return w.client, nil
	}
	client, err := d.openWaiter(addr)
	if err != nil {
		return nil, err
	}
	if w.client != nil {
		_ = w.client.Close() // who waits there waits for nothing
	}
	w.client, w.addr = client, addr
	return client, nil
}

// openWaiter opens a client whose commands may block: only their contexts bound them.
func (d *DB) openWaiter(addr string) (*redis.Client, error) {
	if d.cluster != nil {
		n := d.primaries.get(addr)
		if n == nil {
			return nil, errUnknownNode
		}
		o := *n.client.Options()
		o.Limiter, o.PoolSize, o.MinIdleConns, o.MaxRetries, o.ReadTimeout = nil, maxWaiters, 0, noRetries, waiterTimeout
		return redis.NewClient(&o), nil
	}
	tlsConfig, err := d.cfg.tls()
	if err != nil {
		return nil, err
	}
	return d.openSingleWaiter(tlsConfig)
}

func (d *DB) openSingleWaiter(tlsConfig *tls.Config) (*redis.Client, error) {
	if d.cfg.Mode == Sentinel {
		o := d.cfg.sentinelOptions(tlsConfig)
		o.PoolSize, o.MaxRetries, o.ReadTimeout = maxWaiters, noRetries, waiterTimeout
		return redis.NewFailoverClient(o), nil
	}
	o, err := d.cfg.singleOptions(tlsConfig)
	if err != nil {
		return nil, err
	}
	o.PoolSize, o.MinIdleConns, o.MaxRetries, o.ReadTimeout = maxWaiters, 0, noRetries, waiterTimeout
	return redis.NewClient(o), nil
}

// close ends all waits.
func (w *waiters) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.client == nil {
		return nil
	}
	if err := w.client.Close(); !errors.Is(err, redis.ErrClosed) {
		return err
	}
	return nil
}
