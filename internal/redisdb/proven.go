package redisdb

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync/atomic"

	"github.com/go-redis/redis/v8"
)

// provenConn is a connection to the server that is the primary, with what proves that it still is:
// a connection of its own, so that load cannot delay it. The zero value: a Cluster.
type provenConn struct {
	client    *redis.Client
	dialed    atomic.Value   // string: with Sentinel, the server at its other end
	sentinels *sentinelGroup // nil without Sentinel
	turn      chan struct{}  // holds one element while somebody uses it
}

// untiring is a pool size of a connection that is used by one goroutine at a time: after so many
// failures v8 would not dial for a second.
const untiring = 1 << 16

// openProven opens c, for one connection or, by turns, an untiring one, which repeats a command
// whose answer was lost so often.
func (d *DB) openProven(c *provenConn, tlsConfig *tls.Config, poolSize, repeats int) {
	c.turn = make(chan struct{}, 1)
	if d.cfg.Mode == Sentinel {
		o := d.cfg.sentinelOptions(tlsConfig)
		o.PoolSize, o.MaxRetries, o.ReadTimeout = poolSize, repeats, d.cfg.Timeout+d.cfg.WaitTimeout
		c.client, c.sentinels = noteDialed(redis.NewFailoverClient(o), &c.dialed), &sentinelGroup{cfg: d.cfg, tls: tlsConfig}
		return
	}
	o, _ := d.cfg.singleOptions(tlsConfig) // Open has looked at the error
	o.PoolSize, o.MinIdleConns, o.MaxRetries = poolSize, 0, repeats
	c.client = redis.NewClient(o)
}

// EvalProven is Eval on a server that is proven to have been the primary after the script ran: what
// the script read was current when EvalProven was called, or later. s must write something, which
// replicas confirm. A server that refuses writes because of its own state, for instance for want of
// replicas, is asked by onlyReads, a script without writes, with the same keys and arguments. An
// error says nothing about what the keys hold.
//
// It waits its turn on a connection of its own, outside of the pool and its breaker, so that load
// cannot delay it.
//
// In a Cluster it is Eval: a primary without the majority of the others answers nothing.
func (d *DB) EvalProven(ctx context.Context, s, onlyReads *Script, keys []string, args ...any) (any, error) {
	if d.cluster != nil {
		v, err := d.Eval(ctx, s, keys, args...)
		if OnlyReads(err) {
			v, err = d.Eval(ctx, onlyReads, keys, args...)
		}
		return v, err
	}
	call, err := d.scriptCall(s, keys, args)
	if err != nil {
		return nil, err
	}
	if err := d.drain.enter(); err != nil {
		return nil, err
	}
	defer d.drain.leave()
	select {
	case d.proven.turn <- struct{}{}:
		defer func() { <-d.proven.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	ctx = endless(ctx)
	v, acked, err := d.ask(ctx, &d.proven, call)
	if OnlyReads(err) {
		call.script, acked = onlyReads, 0
		v, _, err = d.ask(ctx, &d.proven, call) // a WAIT behind a script that wrote nothing proves nothing
	}
	if err == nil {
		err = d.prove(ctx, &d.proven, acked)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// ask runs a script on a connection, and returns the answer and, with Sentinel, how many replicas
// confirmed it. Replicas of which some are known to be away are not waited for. It also refreshes
// what is known of replicas.
func (d *DB) ask(ctx context.Context, c *provenConn, call *scriptCall) (v any, acked int64, err error) {
	all := d.single.copies.all()
	cmd, wait := redis.NewCmd(ctx, call.whole()...), redis.NewIntCmd(ctx, "wait", all, d.cfg.WaitTimeout.Milliseconds())
	_, _ = c.client.Pipelined(ctx, func(p redis.Pipeliner) error { // each has its own error
		_ = p.Process(ctx, cmd)
		if c.sentinels != nil && all > 0 && d.single.copies.online() >= all {
			_ = p.Process(ctx, wait)
		}
		return nil
	})
	if v, err = result(cmd, cmd.Err()); isReply(cmd.Err(), "READONLY") {
		_ = c.client.Process(ctx, redis.NewCmd(ctx, call.whole()...)) // alone: then v8 drops the connection
	}
	if err == nil {
		_, _ = d.wanted(ctx, d.single) // asked again by those who need to know
	}
	return v, wait.Val(), err
}

// prove returns nil if the server that took a script is still the primary. With Sentinel, another
// may have replaced it unnoticed: then its replicas have left it, or the promoted one has, and the
// Sentinels name the other.
//
// So either all replicas that it ever had confirm the script's writes, or a majority of all
// Sentinels names it. Losing a replica, or the Sentinels, takes no node out of service. A Cluster
// has that rule inside; one server alone is never replaced.
func (d *DB) prove(ctx context.Context, c *provenConn, acked int64) error {
	if c.sentinels == nil {
		return nil
	}
	if err := d.sameServer(c); err != nil {
		return err
	}
	if all := d.single.copies.all(); all > 0 && acked >= int64(all) {
		return nil
	}
	addr, _ := c.dialed.Load().(string)
	return c.sentinels.elect(ctx, addr, d.single.copies.all() == 0)
}

// sameServer returns nil if this node reads from the server at the other end of c. After a failover
// v8 turns all connections to the new server at its next dial, so this dials once.
func (d *DB) sameServer(c *provenConn) error {
	if d.dialed.Load() == c.dialed.Load() {
		return nil
	}
	if sweepIdle(d.single.once, 1); d.dialed.Load() == c.dialed.Load() {
		return nil
	}
	return fmt.Errorf("%w: connections lead to two servers, %v and %v", ErrUnavailable, d.dialed.Load(), c.dialed.Load())
}
