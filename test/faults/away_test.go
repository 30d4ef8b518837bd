package faults_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// Bounds of row S-20.
const (
	refusal  = 3 * time.Second // a node refuses within
	recovery = 2 * time.Second // and serves again after Redis does
)

const workers = 16

// TestRedisAway runs a load over two nodes while their one Redis goes away and comes back.
func TestRedisAway(t *testing.T) {
	for name, fault := range map[string]struct {
		begin, end func(s *redistest.Server, p *proxy)
	}{
		"killed and restarted": {
			func(s *redistest.Server, _ *proxy) { s.Kill() },
			func(s *redistest.Server, _ *proxy) { s.Restart() },
		},
		"paused": {
			func(s *redistest.Server, _ *proxy) { s.Pause() },
			func(s *redistest.Server, _ *proxy) { s.Resume() },
		},
		"cut off": {
			func(_ *redistest.Server, p *proxy) { p.refuse.Store(true); p.cut() },
			func(_ *redistest.Server, p *proxy) { p.refuse.Store(false) },
		},
		"its answers swallowed": {
			func(_ *redistest.Server, p *proxy) { p.swallow.Store(true) },
			func(_ *redistest.Server, p *proxy) { p.swallow.Store(false); p.cut() },
		},
	} {
		t.Run("S-20 V-03 V-13 Redis "+name+" under load", func(t *testing.T) {
			s := redistest.New(t, redistest.Options{AppendOnly: true})
			p := newProxy(t, s.Addr)
			d := deploy(t, single(p.Addr))
			l := newLedger(d, d.serve(t), d.serve(t))
			stop := l.load(t, workers)
			var longest time.Duration
			l.steady(t, 50)
			base := l.nodes[0].open()
			for range choose(1, 10) {
				fault.begin(s, p)
				time.Sleep(1500 * time.Millisecond)
				fault.end(s, p)
				longest = max(longest, l.back(t, kinds...))
				l.steady(t, 50)
			}
			stop()
			l.audit(t)
			figure(t, "S-20", fmt.Sprintf("Redis %s for 1.5 s, %d times: %s; served again after %s", name, choose(1, 10), l, seconds(longest)),
				"0 wrong, 0 lost; 503 ≤ 3 s; again ≤ 2 s")
			l.innocent(t)
			l.durable(t)
			l.complete(t)
			require.Greater(t, l.unavailable, 0, "the fault was not felt")
			require.Less(t, l.slowest, l.allow(refusal))
			require.Less(t, longest, l.allow(recovery))
			require.LessOrEqual(t, l.nodes[0].open(), base+70, "file descriptors are back: 64 connections to Redis at most")
		})
	}
}
