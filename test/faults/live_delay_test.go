package faults_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/middleware"
)

// TestLiveDelay measures, without a fault, how long after the 200 of a revocation each verifier
// refuses the token.
func TestLiveDelay(t *testing.T) {
	t.Run("IN-27 without a fault, all verifiers refuse a token milliseconds after its revocation was answered", func(t *testing.T) {
		w := newLive(t, single(redistest.Start(t).Addr), "")
		w.follow(t, verifiers)
		first := w.issueJWT(t)
		require.Eventually(t, func() bool { return w.allPass(first) }, 20*time.Second, 10*time.Millisecond)
		w.fresh(t)
		var delays []time.Duration
		for range choose(60, 1000) {
			delays = append(delays, w.delaysOf(t, w.issueJWT(t))...)
		}
		slices.Sort(delays)
		at := func(part float64) time.Duration { return delays[int(part*float64(len(delays)-1))] }
		figure(t, "IN-27", fmt.Sprintf("%d revocations answered 200, refused by %d live verifiers on two nodes after: p50 %s, p99 %s, worst %s",
			len(delays)/len(w.verifiers), len(w.verifiers), millis(at(0.5)), millis(at(0.99)), millis(at(1))), "p50 ≤ 10 ms, p99 ≤ 100 ms, worst ≤ 1 s")
	})
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }

func (w *live) issueJWT(t *testing.T) *grant {
	t.Helper()
	a := w.insist(t, func() answer { return w.c.issue(t.Context(), w.nodes[0].now.Load(), "jwt-machine") })
	return &grant{text: a.Access, jwt: true, how: "revoked", born: w.now()}
}

// insist asks until the answer is 200: a machine that is busy with something else may keep Redis
// from answering.
func (w *live) insist(t *testing.T, ask func() answer) (a answer) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if a = ask(); a.status == 200 {
			return a
		}
	}
	t.Errorf("not answered 200: %d %s", a.status, a.body)
	return a
}

// allPass says whether every verifier passes a token, and so remembers it.
func (w *live) allPass(g *grant) bool {
	var refused atomic.Bool
	var all sync.WaitGroup
	for _, v := range w.verifiers {
		all.Go(func() {
			if !w.check(v, g) {
				refused.Store(true)
			}
		})
	}
	all.Wait()
	return !refused.Load()
}

// delaysOf revokes a token that every verifier remembers, and returns how much later than the 200
// each refused it. 0: no later.
func (w *live) delaysOf(t *testing.T, g *grant) []time.Duration {
	t.Helper()
	require.Eventually(t, func() bool { return w.allPass(g) }, 30*time.Second, 10*time.Millisecond, w.said())
	delays := make([]time.Duration, len(w.verifiers))
	heard, passed := make([]time.Time, len(w.verifiers)), make([]time.Time, len(w.verifiers))
	var all sync.WaitGroup
	for i, v := range w.verifiers {
		all.Go(func() {
			for until := time.Now().Add(40 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
				begun := time.Now()
				switch _, err := v.verify(t.Context(), g.text); {
				case err == nil:
					passed[i] = begun
				case errors.Is(err, middleware.ErrInvalidToken):
					heard[i] = begun
					return
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	w.insist(t, func() answer { return w.c.revoke(t.Context(), w.nodes[1].now.Load(), "jwt-machine", g.text) })
	answered := time.Now()
	all.Wait()
	require.False(t, t.Failed())
	for i, at := range heard {
		require.False(t, at.IsZero(), "%s never refused it", w.verifiers[i].name)
		require.LessOrEqual(t, passed[i].Sub(answered), liveLease, w.verifiers[i].name)
		delays[i] = max(at.Sub(answered), 0)
	}
	return delays
}

// coldEnds is how many tokens end before a verifier starts.
const coldEnds = 10_000

// TestLiveColdStart starts a verifier that has nobody to ask after ten thousand JWTs were revoked.
func TestLiveColdStart(t *testing.T) {
	t.Parallel() // it measures no delay
	t.Run("IN-27 a verifier of JWTs that starts after 10,000 ends refuses all 10,000", func(t *testing.T) {
		w := newLive(t, single(redistest.Start(t).Addr), "")
		list := make([]*grant, coldEnds)
		var next atomic.Int64
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				for i := next.Add(1) - 1; i < coldEnds; i = next.Add(1) - 1 {
					n := w.nodes[i%2].now.Load()
					a := w.insist(t, func() answer { return w.c.issue(t.Context(), n, "jwt-machine") })
					list[i] = &grant{text: a.Access, jwt: true}
					w.insist(t, func() answer { return w.c.revoke(t.Context(), n, "jwt-machine", a.Access) })
					if t.Failed() {
						return
					}
				}
			})
		}
		all.Wait()
		require.False(t, t.Failed())
		lives := w.issueJWT(t)
		w.follow(t, 4)
		v := w.verifiers[3]
		require.Equal(t, "JWT, of node 0", v.name)
		begun, stale, refused := time.Now(), 0, 0
		for _, g := range list {
			for {
				_, err := v.verify(t.Context(), g.text)
				require.Error(t, err, "a revoked token passes")
				if errors.Is(err, middleware.ErrInvalidToken) {
					refused++
					break
				}
				stale++
				require.Less(t, time.Since(begun), 30*time.Second, "%v", err)
				time.Sleep(time.Millisecond)
			}
		}
		figure(t, "IN-27", fmt.Sprintf("a verifier of JWTs without Ask started after %d ends, and refused %d, %d × 503 before it was fresh; all within %s",
			coldEnds, refused, stale, seconds(time.Since(begun))), "all refused")
		require.Eventually(t, func() bool { return w.check(v, lives) }, 20*time.Second, 10*time.Millisecond, "what did not end passes")
		require.GreaterOrEqual(t, v.follower.Stats().Entries, coldEnds)
	})
}
