package redisdb

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-redis/redis/v8"
)

// primary is one server that takes writes: the only one, or one of a Cluster. Its clients share one
// pool.
type primary struct {
	client   *redis.Client // as it was opened
	repeat   *redis.Client // repeats a command once if its answer was lost
	once     *redis.Client // never repeats
	waiting  *redis.Client // never repeats, and its timeout leaves time for a WAIT
	breaker  *breaker
	pipeline *pipeline
	durable  *pipeline // of commands that wait for replicas
	copies   replicas
}

// newNode gives a client its breaker and pipeline. The client must not have been used yet.
func (d *DB) newNode(client *redis.Client) *primary {
	b := newBreaker(d.cfg.Log)
	client.Options().Limiter = b // v8 reads this very struct, and has no other way with Sentinel and Cluster
	n := &primary{client: client, breaker: b}
	n.repeat = variant(client, d.cfg.Timeout, retries)
	n.once = variant(client, d.cfg.Timeout, 0)
	n.waiting = variant(client, d.cfg.Timeout+d.cfg.WaitTimeout, 0)
	n.pipeline = newPipeline(n.once, !d.cfg.NoCoalescing)
	n.durable = newPipeline(n.waiting, true)
	n.durable.send = d.sendDurably(n)
	past := variant(client, d.cfg.Timeout, 0)
	past.Options().Limiter = nil
	b.probe = func() error { return past.Ping(context.Background()).Err() }
	b.sweep = func() { sweepIdle(past, 0) }
	return n
}

// variant is a client with other settings over the same pool: WithTimeout copies the options.
func variant(client *redis.Client, timeout time.Duration, retries int) *redis.Client {
	v := client.WithTimeout(timeout)
	v.Options().MaxRetries = retries
	return v
}

// primaries are those of a Cluster, by address.
type primaries struct {
	mu   sync.RWMutex
	byID map[string]*primary
}

func (n *primaries) get(addr string) *primary {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.byID[addr]
}

func (n *primaries) put(addr string, one *primary) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byID == nil {
		n.byID = map[string]*primary{}
	}
	if old := n.byID[addr]; old != nil {
		old.breaker.stop()
	}
	n.byID[addr] = one
}

func (n *primaries) all() []*primary {
	n.mu.RLock()
	defer n.mu.RUnlock()
	list := make([]*primary, 0, len(n.byID))
	for _, one := range n.byID {
		list = append(list, one)
	}
	return list
}

func (n *primaries) stop() {
	for _, one := range n.all() {
		one.breaker.stop()
		one.breaker.wait()
	}
}

// nodeOf returns the server that has the slot of a key with its prefix.
func (d *DB) nodeOf(ctx context.Context, key string) (*primary, error) {
	if d.single != nil {
		return d.single, nil
	}
	client, err := d.cluster.MasterForKey(endless(ctx), key)
	if err != nil {
		return nil, err
	}
	if n := d.primaries.get(client.Options().Addr); n != nil {
		return n, nil
	}
	return nil, errUnknownNode
}

var errUnknownNode = fmt.Errorf("%w: a node of the cluster that is not known yet", ErrUnavailable)
