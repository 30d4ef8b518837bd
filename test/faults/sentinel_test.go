package faults_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// downAfter is when redistest's Sentinels call a server down.
const downAfter = 500 * time.Millisecond

// TestSentinelFailover kills the primary, after its replica has been cut off for a moment, so that
// what was acknowledged by the primary alone is lost for certain.
func TestSentinelFailover(t *testing.T) {
	t.Parallel() // it waits for Sentinels
	for _, replicas := range []int{1, 0} {
		t.Run(fmt.Sprintf("S-22 Sentinel failover by kill -9 under load, wait_replicas = %d", replicas), func(t *testing.T) {
			s := redistest.Sentinel(t)
			d := deploy(t, sentinel(s.Addrs, replicas))
			l := newLedger(d, d.serve(t), d.serve(t))
			stop := l.load(t, workers)
			var longest time.Duration
			times := choose(1, 5)
			for i := range times {
				if i > 0 {
					heal(t, s)
				}
				l.steady(t, 50)
				l.forgetGaps()
				isolate(t, s.Primary())
				time.Sleep(200 * time.Millisecond)
				s.KillPrimary()
				l.back(t, kinds...)
				l.steady(t, 50)
				longest = max(longest, l.without(kinds...))
			}
			stop()
			l.audit(t)
			figure(t, "S-22", fmt.Sprintf("%d × kill -9 of the primary 0.2 s after its replica was cut off, wait_replicas = %d: %s; longest time without service %s",
				times, replicas, l, seconds(longest)), bound(replicas))
			l.innocent(t)
			require.Less(t, longest, l.allow(downAfter+5*time.Second))
			if replicas > 0 {
				l.durable(t)
			} else {
				require.Positive(t, l.lostRevocations+l.lostRotations, "the fault took nothing, so it says nothing about wait_replicas = 1")
			}
		})
	}
}

func bound(replicas int) string {
	if replicas > 0 {
		return "0 wrong; 0 revocations and rotations lost; without service ≤ 5.5 s"
	}
	return "0 wrong; without service ≤ 5.5 s; lost: what was acknowledged while the replica was behind"
}

// forgetGaps begins the measuring of times without service anew.
func (l *ledger) forgetGaps() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.kinds {
		s.without, s.answered = 0, time.Now()
	}
}

// isolate parts a primary from its replicas for good: what it acknowledges from now on, it alone
// knows.
func isolate(t *testing.T, primary *redistest.Server) {
	t.Helper()
	c := primary.Client()
	require.NoError(t, c.Do(t.Context(), "acl", "setuser", "default", "-psync", "-sync").Err())
	require.NoError(t, c.Do(t.Context(), "client", "kill", "type", "replica").Err())
}

// heal brings the killed server back as a replica of the other, and waits until Sentinels may fail
// over again.
func heal(t *testing.T, s *redistest.Sentinels) {
	t.Helper()
	primary := s.Primary()
	for _, old := range s.Servers {
		if old != primary {
			old.Restart()
			require.NoError(t, old.Client().Do(t.Context(), "replicaof", hostOf(primary.Addr), portOf(primary.Addr)).Err())
		}
	}
	c := primary.Client()
	require.Eventually(t, func() bool {
		return strings.Contains(c.Info(t.Context(), "replication").Val(), ",state=online,")
	}, 20*time.Second, 20*time.Millisecond, "the replica does not come back")
	time.Sleep(8 * time.Second) // twice their failover-timeout, and what they need to see the replica, and Grantor to expect its word
}
