package redisdb

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Beat is the pulse of a node: every BeatEvery it writes to Redis. What a node read is known to be
// true only as long as its writes are taken; see Fresh. The times between the beats of all nodes, which
// Redis keeps by its own clock, tell when the deployment could not answer; see Outage.
type Beat struct {
	db *DB

	mu        sync.Mutex
	confirmed time.Time // when the last beat that Redis took was sent
	told      interval  // the last outage that Redis tells of
	own       interval  // the last time in which this node had no answer
}

// interval is a time without service. The zero value: there was none.
type interval struct{ from, to time.Time }

// The pulse. Outages with less than outageApart between them are one: who was refused in the first may have
// come in vain again in the second.
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

// Confirmed returns when the last beat that Redis took was sent, by this node's clock; zero: there was none.
func (b *Beat) Confirmed() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.confirmed
}

// Outage returns the last time in which the store did not serve this deployment, or not this node: how long
// that was, and when service returned by this node's clock. Zero: none is known of.
func (b *Beat) Outage() (length time.Duration, returned time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := later(b.told, b.own)
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

// pulse: KEYS beat. ARGV what is an outage, what joins two, life. It notes the time, and the last outage where the
// last beat of any node was long ago; it returns now and that outage, in milliseconds.
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

// Once beats once, and returns why Redis did not take it.
func (b *Beat) Once(ctx context.Context) error {
	sent := time.Now()
	v, err := b.db.EvalDurable(ctx, pulse, []string{beatKey}, outageAfter.Milliseconds(), outageApart.Milliseconds(), beatLife.Milliseconds())
	if v == nil {
		return err
	}
	answer, ok := v.([]any)
	if !ok || len(answer) != 3 {
		return fmt.Errorf("%w: unexpected answer to a beat", ErrRefused)
	}
	var ms [3]int64
	for i := range ms {
		ms[i], _ = answer[i].(int64)
	}
	b.note(sent, time.Now(), ms)
	return nil
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
		b.told = interval{ago(ms[1]), ago(ms[2])}
	}
}
