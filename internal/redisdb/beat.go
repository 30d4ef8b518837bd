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

// Beat is the heartbeat of a node: every BeatEvery it writes to Redis. What a node read is known to
// be current only while its writes reach the primary; see Fresh.
//
// Redis stores the times between the beats of all nodes by its own clock. They show when the
// deployment could not answer; see Outage.
type Beat struct {
	db    *DB
	fresh atomic.Pointer[time.Time] // when the last proven beat was sent

	mu        sync.Mutex
	confirmed time.Time // when the last beat that Redis took was sent
	doubt     error     // why the last beat is not proven
	reported  interval  // the last outage by the times that Redis stores
	own       interval  // the last time without an answer to this node
}

// interval is a time without service. The zero value: there was none.
type interval struct{ from, to time.Time }

// Outages less than outageApart apart count as one: a client that was refused in the first may have
// retried in vain in the second.
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

// Fresh returns nil if, within this time, the primary took a write of this node, or refused it for
// want of memory or replicas. A read proves less: a former primary, cut off from the rest, answers
// reads while its successor revokes. See prove.
//
// In a Cluster, reads prove as much: a primary without the majority of the others answers neither
// reads nor writes.
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

var errNoBeat = fmt.Errorf("%w: Redis took no write of this node lately", ErrUnavailable)

// Outage returns the last time in which Redis did not serve this deployment or this node: its
// length, and when service returned by the clock of this node. Zero: no outage is known.
func (b *Beat) Outage() (length time.Duration, returned time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := later(b.reported, b.own)
	return last.to.Sub(last.from), last.to
}

// later returns the interval that ended later, joined with the other if they count as one.
func later(a, b interval) interval {
	if a.to.Before(b.to) {
		a, b = b, a
	}
	if !b.to.IsZero() && a.from.Sub(b.to) < outageApart && b.from.Before(a.from) {
		a.from = b.from
	}
	return a
}

// pulse: KEYS beat. ARGV outage length, joining distance, lifetime. It stores the time, and an
// outage if the last beat of any node was long ago. It returns now and that outage, in
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

// Once beats once, and returns why Redis did not take the beat, or why the beat proves nothing.
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
	if err == nil || OnlyReads(err) { // a primary whose memory is full still answers reads
		doubt = b.db.prove(endless(ctx), &b.db.pulse, acked)
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

// beat writes, and returns the answer and, with Sentinel, how many replicas confirmed it. It also
// refreshes what is known of replicas.
func (d *DB) beat(ctx context.Context) (v any, acked int64, err error) {
	ages := []any{outageAfter.Milliseconds(), outageApart.Milliseconds(), beatLife.Milliseconds()}
	if d.cluster != nil {
		v, err = d.Eval(ctx, pulse, []string{beatKey}, ages...)
		d.lookAround(ctx)
		return v, 0, err
	}
	call, err := d.scriptCall(pulse, []string{beatKey}, ages)
	if err != nil {
		return nil, 0, err
	}
	if err := d.drain.enter(); err != nil {
		return nil, 0, err
	}
	defer d.drain.leave()
	return d.ask(ctx, &d.pulse, call)
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
