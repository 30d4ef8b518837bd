package ratelimit

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func openRedis(t *testing.T) (*Redis, *redistest.Server) {
	t.Helper()
	srv := redistest.Start(t)
	db, err := redisdb.Open(redisdb.Config{URL: srv.URL, Prefix: "test:"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return NewRedis(db), srv
}

func TestRedis(t *testing.T) {
	x, srv := openRedis(t)
	t.Run("the script counts as the model of the other tests does", func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 5)) //nolint:gosec // repeatable
		model := &central{}
		for range 60 {
			reports := []Report{
				{Name: "fast", Limit: Limit{PerSecond: 100}, Count: r.IntN(30)},
				{Name: "slow", Limit: Limit{PerSecond: 1, Burst: 7}, Count: r.IntN(3)},
				{Name: "one", Limit: Limit{PerSecond: 20, Burst: 1}, Count: r.IntN(2)},
			}
			begun := time.Now()
			left, err := x.Exchange(t.Context(), reports)
			require.NoError(t, err)
			took := time.Since(begun)
			want, _ := model.Exchange(t.Context(), reports)
			for i, p := range reports {
				// The two read their clocks at other moments, within this call and the last.
				require.InDelta(t, want[i], left[i], 1+p.Limit.rate()*(took.Seconds()+.02), "%+v", p)
			}
			time.Sleep(time.Duration(r.IntN(12)) * time.Millisecond)
		}
	})
	t.Run("every key has a lifetime, and no name of a client is in it", func(t *testing.T) {
		_, err := x.Exchange(t.Context(), []Report{{Name: "billing-job", Limit: Limit{PerSecond: 2, Burst: 10}, Count: 11}})
		require.NoError(t, err)
		keys := srv.Client().Keys(t.Context(), "*").Val()
		require.Len(t, keys, 4)
		for _, k := range keys {
			require.NotContains(t, k, "billing")
			ttl := srv.Client().PTTL(t.Context(), k).Val()
			require.Positive(t, ttl)
			require.Less(t, ttl, time.Minute)
		}
	})
	t.Run("an error is an error: nobody knows what was counted", func(t *testing.T) {
		require.NoError(t, srv.Client().Set(t.Context(), "test:"+bucketKey("broken"), "x", 0).Err())
		_, err := x.Exchange(t.Context(), []Report{{Name: "broken", Limit: Limit{PerSecond: 1}, Count: 1}})
		require.Error(t, err)
		srv.Stop()
		_, err = x.Exchange(t.Context(), []Report{{Name: "a", Limit: Limit{PerSecond: 1}, Count: 1}})
		require.Error(t, err)
	})
}

// TestTwoNodesOnRedis: 64 goroutines ask two nodes as fast as they can. The test of the whole,
// over HTTP, is integration_test TestRateLimitOverTwoNodes.
func TestTwoNodesOnRedis(t *testing.T) {
	x, _ := openRedis(t)
	w := &world{limit: Limit{PerSecond: 200, Burst: 50}}
	w.nodes = run(t, x, 2)
	var mu sync.Mutex
	var all sync.WaitGroup
	begun := time.Now()
	for i := range 64 {
		all.Go(func() {
			for time.Since(begun) < 3*time.Second {
				if w.nodes[i%2].TakeShared("c", w.limit) == 0 {
					mu.Lock()
					w.passed = append(w.passed, time.Now())
					mu.Unlock()
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	all.Wait()
	slices.SortFunc(w.passed, time.Time.Compare)
	t.Logf("%d passed in 3 s at 200 a second; %.0f above the rate in the worst stretch", len(w.passed), w.worst())
	require.LessOrEqual(t, w.worst(), 2*(w.limit.burst()+w.limit.rate()))
	require.Greater(t, len(w.passed), 400)
}
