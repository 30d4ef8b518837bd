package redisdb

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis/v8"
)

// Beat is the pulse of a node: every BeatEvery it writes to Redis. What a node read is known to
// be true only as long as its writes are taken, by a server that is the primary still; see Fresh.
// The times between the beats of all nodes, which Redis keeps by its own clock, tell when the
// deployment could not answer; see Outage.
type Beat struct {
	db    *DB
	fresh atomic.Pointer[time.Time] // when the last beat was sent that was proven

	mu        sync.Mutex
	confirmed time.Time // when the last beat that Redis took was sent
	doubt     error     // why the last one is not proven
	reported  interval  // the last outage that Redis tells of
	own       interval  // the last time in which this node had no answer
}

// pulseConn is what a Beat uses: a connection of its own, which no load keeps from it. The zero
// value: a Cluster.
type pulseConn struct {
	client    *redis.Client
	dialed    atomic.Value // string: with Sentinel, the server at its other end
	sentinels *sentinels   // nil without Sentinel
}

// interval is a time without service. The zero value: there was none.
type interval struct{ from, to time.Time }

// The pulse. Outages with less than outageApart between them are one: who was refused in the
// first may have come in vain again in the second.
const (
	BeatEvery   = 500 * time.Millisecond
	outageAfter = 3 * BeatEvery
	outageApart = 5 * time.Minute
	beatLife    = 400 * 24 * time.Hour
	beatKey     = "beat:{registry}" // in a Cluster beside the registry of clients
)

// NewBeat prepares the pulse of a node; Run beats.
func NewBeat(d *DB) *Beat { return &Beat{db: d} }

// Run beats until ctx ends.
func (b *Beat) Run(ctx context.Context) {
	tick := time.NewTicker(BeatEvery)
	defer tick.Stop()
	for {
		_ = b.Once(ctx) // what follows from failures is asked by Fresh
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Confirmed returns when the last beat that Redis took was sent, by this node's clock; zero:
// there was none.
func (b *Beat) Confirmed() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.confirmed
}

// Fresh returns nil if within a time a write of this node was taken by a server that is the
// primary, or refused by it for want of memory or replicas. A read proves less: one beside a
// primary that was cut off from the rest is answered as ever, while elsewhere its successor
// revokes. See prove. In a Cluster reads prove as much: a primary without the majority of the
// others answers neither, and the beat speaks for the slots of one primary alone.
func (b *Beat) Fresh(within time.Duration) error {
	if b.db.cluster != nil {
		return nil
	}
	if at := b.fresh.Load(); at != nil && time.Since(*at) <= within {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return cmp.Or(b.doubt, errNoBeat)
}

var errNoBeat = fmt.Errorf("%w: no write was taken lately", ErrUnavailable)

// Outage returns the last time in which the store did not serve this deployment, or not this
// node: how long that was, and when service returned by this node's clock. Zero: none is known
// of.
func (b *Beat) Outage() (length time.Duration, returned time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := later(b.reported, b.own)
	return last.to.Sub(last.from), last.to
}

// later returns the interval that ended later, joined with the other where they are one.
func later(a, b interval) interval {
	if a.to.Before(b.to) {
		a, b = b, a
	}
	if !b.to.IsZero() && a.from.Sub(b.to) < outageApart && b.from.Before(a.from) {
		a.from = b.from
	}
	return a
}

// pulse: KEYS beat. ARGV what is an outage, what joins two, life. It notes the time, and the last
// outage where the last beat of any node was long ago; it returns now and that outage, in
// milliseconds.
var pulse = NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function note(name) return tonumber(redis.call('HGET', KEYS[1], name) or 0) end
local last, from, to = note('at'), note('from'), note('to')
if last > 0 and now - last > tonumber(ARGV[1]) then
  if to == 0 or last - to > tonumber(ARGV[2]) then from = last else from = math.min(from, last) end
  to = now
  redis.call('HSET', KEYS[1], 'from', from, 'to', to)
end
redis.call('HSET', KEYS[1], 'at', now)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {now, from, to}`)

// Once beats once, and returns why Redis did not take it, or why that proves nothing.
func (b *Beat) Once(ctx context.Context) error {
	sent := time.Now()
	v, acked, err := b.db.beat(endless(ctx))
	var ms [3]int64
	if err == nil {
		ms, err = readPulse(v)
	}
	if err == nil {
		b.note(sent, time.Now(), ms)
	}
	doubt := err
	if err == nil || OnlyReads(err) { // whose memory is full answers who reads, and is the primary still
		doubt = b.db.prove(endless(ctx), acked)
	}
	if doubt == nil {
		b.fresh.Store(&sent)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.doubt = doubt
	return cmp.Or(err, doubt)
}

func readPulse(v any) (ms [3]int64, err error) {
	answer, _ := v.([]any)
	if len(answer) != len(ms) {
		return ms, fmt.Errorf("%w: unexpected answer to a beat", ErrRefused)
	}
	for i := range ms {
		ms[i], _ = answer[i].(int64)
	}
	return ms, nil
}

// beat writes, and returns the answer and, with Sentinel, how many replicas have it. It also
// refreshes what is known of replicas.
func (d *DB) beat(ctx context.Context) (v any, acked int64, err error) {
	ages := []any{outageAfter.Milliseconds(), outageApart.Milliseconds(), beatLife.Milliseconds()}
	if d.cluster != nil {
		v, err = d.Eval(ctx, pulse, []string{beatKey}, ages...)
		d.lookAround(ctx)
		return v, 0, err
	}
	if err := d.drain.enter(); err != nil {
		return nil, 0, err
	}
	defer d.drain.leave()
	call, err := d.scriptCall(pulse, []string{beatKey}, ages)
	if err != nil {
		return nil, 0, err
	}
	cmd, wait := redis.NewCmd(ctx, call.whole()...), redis.NewIntCmd(ctx, "wait", d.single.copies.all(), d.cfg.WaitTimeout.Milliseconds())
	_, _ = d.pulse.client.Pipelined(ctx, func(p redis.Pipeliner) error { // each has its own error
		_ = p.Process(ctx, cmd)
		if d.pulse.sentinels != nil && d.single.copies.all() > 0 {
			_ = p.Process(ctx, wait)
		}
		return nil
	})
	if v, err = result(cmd, cmd.Err()); isReply(cmd.Err(), "READONLY") {
		_ = d.pulse.client.Process(ctx, redis.NewCmd(ctx, call.whole()...)) // alone: then v8 drops the connection
	}
	if err == nil {
		_, _ = d.wanted(ctx, d.single) // asked again by those who need to know
	}
	return v, wait.Val(), err
}

// prove returns nil if the server that took a beat is still the primary. With Sentinel it may
// have been replaced, without knowing it: then its replicas have left it, all or the one that was
// promoted, and the Sentinels say so. So either all replicas that it ever had confirm the beat,
// or a majority of all Sentinels names it. Losing a replica, or the Sentinels, takes no node out
// of service. A Cluster has that rule inside: a primary without the majority of the others takes
// no writes. And one server alone is never replaced by itself.
func (d *DB) prove(ctx context.Context, acked int64) error {
	e := d.pulse.sentinels
	if e == nil {
		return nil
	}
	if err := d.sameServer(); err != nil {
		return err
	}
	if all := d.single.copies.all(); all > 0 && acked >= int64(all) {
		return nil
	}
	addr, _ := d.pulse.dialed.Load().(string)
	return e.elect(ctx, addr, d.single.copies.all() == 0)
}

// sameServer returns nil if this node reads from the server that takes its beats. After a
// failover v8 turns all connections to the new one, at its next dial: so one is dialed.
func (d *DB) sameServer() error {
	if d.dialed.Load() == d.pulse.dialed.Load() {
		return nil
	}
	if sweepIdle(d.single.once, 1); d.dialed.Load() == d.pulse.dialed.Load() {
		return nil
	}
	return fmt.Errorf("%w: connections lead to %v and %v", ErrUnavailable, d.dialed.Load(), d.pulse.dialed.Load())
}

// lookAround refreshes what is known of the replicas of all primaries of a Cluster.
func (d *DB) lookAround(ctx context.Context) {
	if d.cfg.WaitReplicas == 0 {
		return
	}
	_ = d.cluster.ForEachMaster(ctx, func(ctx context.Context, client *redis.Client) error {
		if n := d.primaries.get(client.Options().Addr); n != nil {
			_, _ = d.wanted(ctx, n) // as above
		}
		return nil
	})
}

// note takes an answer: Redis's time, and when the last outage began and ended by it.
func (b *Beat) note(sent, received time.Time, ms [3]int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.confirmed.IsZero() && sent.Sub(b.confirmed) > outageAfter {
		b.own = later(interval{b.confirmed, received}, b.own)
	}
	b.confirmed = sent
	if ms[2] > 0 {
		ago := func(then int64) time.Time { return received.Add(-time.Duration(ms[0]-then) * time.Millisecond) }
		b.reported = interval{ago(ms[1]), ago(ms[2])}
	}
}
