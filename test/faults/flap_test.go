package faults_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestRedisFlaps breaks the way to Redis in short turns: connections cut, answers halved, late,
// swallowed.
func TestRedisFlaps(t *testing.T) {
	t.Run("S-20 V-03 V-13 V-31 connections that break in short turns mix up no answers and lose nothing", func(t *testing.T) {
		s := redistest.New(t, redistest.Options{AppendOnly: true})
		p := newProxy(t, s.Addr)
		d := deploy(t, single(p.Addr))
		l := newLedger(d, d.serve(t), d.serve(t))
		stop := l.load(t, workers)
		l.steady(t, 20)
		turns, rng := choose(20, 600), rand.New(rand.NewPCG(1, 2))
		for range turns {
			p.flap(rng)
			time.Sleep(time.Duration(50+rng.IntN(100)) * time.Millisecond)
		}
		p.most.Store(0)
		back := l.back(t, kinds...)
		l.steady(t, 20)
		stop()
		l.audit(t)
		figure(t, "S-20", fmt.Sprintf("%d turns of cut, halved, late and swallowed answers: %s; served again after %s", turns, l, seconds(back)),
			"0 wrong, 0 lost; 503 ≤ 3 s; again ≤ 2 s")
		l.innocent(t)
		l.durable(t)
		l.complete(t)
		require.Less(t, l.slowest, l.allow(refusal))
		require.Less(t, back, l.allow(recovery))
	})
}

// flap does one thing to the connections.
func (p *proxy) flap(rng *rand.Rand) {
	p.most.Store(0)
	switch rng.IntN(4) {
	case 0:
		p.cut()
	case 1:
		p.halve.Store(int32(1 + rng.IntN(5)))
	case 2:
		p.most.Store(int64(50 * time.Millisecond))
	case 3:
		p.swallow.Store(true)
		time.Sleep(time.Duration(rng.IntN(700)) * time.Millisecond)
		p.swallow.Store(false)
		p.cut()
	}
}

// TestRedisSlow delays each answer by 1 to 50 ms: that is no fault.
func TestRedisSlow(t *testing.T) {
	t.Run("S-20 answers of Redis that take 1 to 50 ms are no outage", func(t *testing.T) {
		s := redistest.Start(t)
		p := newProxy(t, s.Addr)
		d := deploy(t, single(p.Addr))
		l := newLedger(d, d.serve(t), d.serve(t))
		p.most.Store(int64(50 * time.Millisecond))
		stop := l.load(t, workers)
		l.steady(t, choose(60, 2000))
		stop()
		p.most.Store(0)
		l.audit(t)
		figure(t, "S-20", "Redis slow, 1 to 50 ms an answer: "+l.String(), "0 wrong, 0 lost, 0 × 503")
		l.innocent(t)
		l.durable(t)
		l.complete(t)
		if l.stall < 100*time.Millisecond {
			require.Zero(t, l.unavailable)
		}
	})
}
