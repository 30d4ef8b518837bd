package redisdb

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis/v8"
)

// clock is what this node knows of Redis's clock, by which every key expires. The node's own clock
// may be wrong by hours; only its speed is relied on.
type clock struct{ last atomic.Pointer[reading] }

// reading is Redis's time and this node's at one moment, at most exact apart.
type reading struct {
	redis, local time.Time
	exact        time.Duration
}

// ClockEvery is how often a node should read Redis's clock: a jump of it may go unseen for so long.
const ClockEvery = 500 * time.Millisecond

// drift is how a reading loses exactness with time: one part of so many, more than a quartz clock
// drifts.
const drift = 5000

// now returns Redis's time, or this node's before the first reading.
func (c *clock) now() time.Time {
	r := c.last.Load()
	if r == nil {
		return time.Now()
	}
	return r.at(time.Now())
}

func (r *reading) at(local time.Time) time.Time { return r.redis.Add(local.Sub(r.local)) }

// learn takes a time that Redis gave between two moments. A more exact reading that agrees with it
// stays: on a busy machine, or after a pause of this process, answers are late.
func (c *clock) learn(told, sent, received time.Time) {
	exact := received.Sub(sent) / 2
	if old := c.last.Load(); old != nil {
		was := old.exact + received.Sub(old.local)/drift
		if was <= exact && !told.Before(old.at(sent).Add(-was)) && !told.After(old.at(received).Add(was)) {
			return
		}
	}
	c.last.Store(&reading{redis: told, local: sent.Add(exact), exact: exact})
}

// Now returns Redis's time without asking: as exact as the last call of Time, and this node's own
// time before the first.
func (d *DB) Now() time.Time { return d.clock.now() }

// Time asks Redis for its time; in a Cluster, one primary whose clock stands for all.
func (d *DB) Time(ctx context.Context) (time.Time, error) {
	if err := d.drain.enter(); err != nil {
		return time.Time{}, err
	}
	defer d.drain.leave()
	n, err := d.nodeOf(ctx, d.Key("clock"))
	if err != nil {
		return time.Time{}, wrap(err)
	}
	cmd := redis.NewTimeCmd(ctx, "time")
	sent := time.Now()
	if err := n.once.Process(endless(ctx), cmd); err != nil { // alone: a queue would make it less exact
		return time.Time{}, wrap(err)
	}
	d.clock.learn(cmd.Val(), sent, time.Now())
	return cmd.Val(), nil
}

// RunClock reads Redis's clock until ctx ends. While Redis does not answer, the last reading is
// used.
func (d *DB) RunClock(ctx context.Context) {
	tick := time.NewTicker(ClockEvery)
	defer tick.Stop()
	for {
		_, _ = d.Time(ctx) // the breaker logs an outage
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
