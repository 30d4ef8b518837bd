package faults_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// lostWith is how long before a primary was cut off from its replica what it took may not have
// arrived there.
const lostWith = 200 * time.Millisecond

// TestLiveSentinel loses primaries under the load. A new primary has what was confirmed, and may
// lack the last that was not: the stream then ends earlier, and its numbers come again.
func TestLiveSentinel(t *testing.T) {
	t.Parallel() // it waits for Sentinels
	for _, replicas := range []int{1, 0} {
		name := map[int]string{
			1: "the primary killed just after its replica was cut off, wait_replicas = 1",
			0: "a failover with a lost tail, and numbers that come again, wait_replicas = 0",
		}[replicas]
		t.Run("IN-27 "+name+": no verifier passes a token later than the lease after the 200 of its end", func(t *testing.T) {
			s := redistest.Sentinel(t)
			w := newLive(t, sentinel(s.Addrs, replicas), "")
			w.follow(t, verifiers)
			w.begin(t)
			if replicas > 0 {
				w.suffer(t, "the replica cut off", func(t *testing.T) { w.withoutReplica(t, s) })
			}
			for round := range choose(1, 4) {
				if round > 0 {
					heal(t, s)
				}
				w.suffer(t, name, func(t *testing.T) { w.failOver(t, s, replicas) })
			}
		})
	}
	t.Run("IN-27 the primary paused until it is replaced: no verifier passes a token later than the lease after the 200 of its end", func(t *testing.T) {
		s := redistest.Sentinel(t)
		w := newLive(t, sentinel(s.Addrs, 1), "")
		w.follow(t, verifiers)
		w.begin(t)
		w.suffer(t, "the primary paused until it is replaced, and then awake again", func(t *testing.T) {
			old, since := s.Primary(), w.now()-int64(lostWith)
			old.Pause()
			s.AwaitPrimary(old)
			time.Sleep(liveSpan())
			w.excuse(since)
			old.Resume()
		})
	})
}

// withoutReplica cuts the replica off for a while, and waits until it confirms again.
func (w *live) withoutReplica(t *testing.T, s *redistest.Sentinels) {
	p := s.Primary()
	order(t, p, "acl", "setuser", "default", "-psync", "-sync")
	order(t, p, "client", "kill", "type", "replica")
	time.Sleep(liveSpan())
	order(t, p, "acl", "setuser", "default", "+psync")
	require.Eventually(t, func() bool { return p.Client().Do(t.Context(), "wait", 1, 100).Val() == int64(1) }, 20*time.Second, 50*time.Millisecond)
	w.steady(t, 3)
}

// failOver kills the primary, which for a moment was alone. What it acknowledged there is gone
// where nobody waits for replicas.
func (w *live) failOver(t *testing.T, s *redistest.Sentinels, replicas int) {
	since := w.now() - int64(lostWith)
	isolate(t, s.Primary())
	alone := w.machineJWTs(t, 5)
	time.Sleep(400 * time.Millisecond)
	old := s.KillPrimary()
	if replicas == 0 { // before another serves: its verifiers pass what has not ended there
		time.Sleep(lostWith) // the last answers are noted
		w.excuseEnds(since, w.now())
		w.revived.Store(true)
	}
	s.AwaitPrimary(old)
	w.excuse(since)
	e := &ender{live: w, ctx: t.Context(), rng: rand.New(rand.NewPCG(1, uint64(since)))}
	e.finish("JWTs revoked whose records a primary took with it", alone, e.revokeAll(alone))
	time.Sleep(liveSpan())
}

// machineJWTs issues JWTs that the load does not end.
func (w *live) machineJWTs(t *testing.T, count int) (list []*grant) {
	t.Helper()
	for range count {
		g := w.issueJWT(t)
		w.add(g)
		list = append(list, g)
	}
	return list
}

// revokeAll revokes all of these at each turn. It may be repeated.
func (e *ender) revokeAll(list []*grant) func(n *liveNode, again bool) (answer, bool) {
	return func(n *liveNode, _ bool) (a answer, ok bool) {
		for _, g := range list {
			if a = e.c.revoke(e.ctx, n.now.Load(), "jwt-machine", g.text); a.status != 200 {
				return a, false
			}
		}
		return a, true
	}
}

// excuseEnds marks the ends that a primary took with it, and all of what was issued meanwhile.
func (w *live) excuseEnds(since, until int64) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, list := range [][]*grant{w.living, w.ended} {
		for _, g := range list {
			over := g.over[0].Load()
			if over >= since && over <= until || g.born >= since && g.born <= until {
				g.undone.Store(true)
			}
		}
	}
}

// TestLivePartition leaves a node alone with the old primary, behind a cut.
func TestLivePartition(t *testing.T) {
	t.Parallel() // it waits for Sentinels
	t.Run("IN-27 the old primary cut off with a node beside it: no verifier passes a token later than the lease after the 200 of its end", func(t *testing.T) {
		p := newPartition(t)
		w := newLive(t, sentinel(p.Addrs, 1), lonely)
		w.follow(t, verifiers)
		w.begin(t)
		w.suffer(t, "the old primary cut off with a node beside it", func(t *testing.T) {
			since := w.now() - int64(lostWith)
			p.part(t)
			p.AwaitPrimary(p.old)
			w.excuse(since)
			time.Sleep(2 * liveSpan())
			p.join(t)
			w.excuse(since)
		})
	})
}

// TestLiveCluster kills primaries of a Cluster: that of the stream, so that ends cannot be
// appended and are asked for again at the other node, and one of the tokens, so that ends are
// appended and cannot be made.
func TestLiveCluster(t *testing.T) {
	t.Parallel() // it waits for the Cluster
	redistest.Need(t)
	for name, at := range map[string]int{"of the stream": 0, "beside that of the stream": 1} {
		t.Run("IN-27 a Cluster whose primary "+name+" is killed: no verifier passes a token later than the lease after the 200 of its end", func(t *testing.T) {
			c := sixNodes(t)
			w := newLive(t, cluster(c.Addrs[:3], 1), "")
			w.follow(t, verifiers)
			w.begin(t)
			w.suffer(t, "a Cluster of six whose primary "+name+" is killed just after its replica was cut off", func(t *testing.T) {
				lost := c.Servers[(c.Slot(streamKey)*3/16384+at)%3]
				since := w.now() - int64(lostWith)
				isolate(t, lost)
				time.Sleep(200 * time.Millisecond)
				lost.Kill()
				time.Sleep(nodeTimeout + liveSpan())
				w.excuse(since)
			})
		})
	}
}
