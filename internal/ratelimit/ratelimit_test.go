package ratelimit

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// central is an Exchanger in memory, with the arithmetic of the script.
type central struct {
	delay func() time.Duration // of the way there, and of the way back

	mu      sync.Mutex
	buckets map[string]*centralBucket
	failed  error
}

type centralBucket struct {
	level, spare float64
	at           time.Time
}

func (c *central) Exchange(_ context.Context, reports []Report) ([]float64, error) {
	if c.delay != nil {
		time.Sleep(c.delay())
		defer func() { time.Sleep(c.delay()) }()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return nil, c.failed
	}
	left := make([]float64, len(reports))
	for i, r := range reports {
		left[i] = c.settle(r, time.Now())
	}
	return left, nil
}

func (c *central) settle(r Report, now time.Time) float64 {
	rate, burst := r.Limit.rate(), r.Limit.burst()
	b := c.buckets[r.Name]
	if b == nil {
		b = &centralBucket{level: burst, spare: rate * MaxAge.Seconds(), at: now}
		if c.buckets == nil {
			c.buckets = map[string]*centralBucket{}
		}
		c.buckets[r.Name] = b
	}
	b.level += rate * now.Sub(b.at).Seconds()
	b.at = now
	if b.level > burst {
		b.spare += b.level - burst
		b.level = burst
	}
	b.spare = min(b.spare, rate*MaxAge.Seconds())
	free := min(b.spare, float64(r.Count))
	b.level -= float64(r.Count) - free
	b.spare -= free
	return b.level
}

// run returns limiters that share x, as nodes do.
func run(t *testing.T, x Exchanger, nodes int) (list []*Limiter) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); all.Wait() })
	for range nodes {
		l, err := New(x)
		require.NoError(t, err)
		all.Go(func() { l.Run(ctx, slog.New(slog.DiscardHandler)) })
		list = append(list, l)
	}
	return list
}

func TestOneNode(t *testing.T) {
	for name, take := range map[string]func(*Limiter, Limit) time.Duration{
		"a limit of this node": func(l *Limiter, limit Limit) time.Duration { return l.Take("c", limit) },
		"a shared limit without other nodes": func(l *Limiter, limit Limit) time.Duration {
			return l.TakeShared("c", limit)
		},
		"a limit of strangers": func(l *Limiter, limit Limit) time.Duration { return l.TakeStranger("c", limit) },
	} {
		t.Run(name+": the burst, then the rate, and Retry-After is right", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, err := New(nil)
				require.NoError(t, err)
				limit := Limit{PerSecond: 4, Burst: 6}
				for range 6 {
					require.Zero(t, take(l, limit))
				}
				for range 8 {
					wait := take(l, limit)
					require.InDelta(t, 250*time.Millisecond, wait, float64(time.Millisecond))
					time.Sleep(wait)
					require.Zero(t, take(l, limit), "who waits as long as it was told is served")
				}
			})
		})
	}
	t.Run("without a burst, a second's requests come at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, err := New(nil)
			require.NoError(t, err)
			for range 3 {
				require.Zero(t, l.Take("c", Limit{PerSecond: 3}))
			}
			require.Positive(t, l.Take("c", Limit{PerSecond: 3}))
			require.Zero(t, l.Take("another", Limit{PerSecond: 3}))
		})
	})
	t.Run("another limit holds from the next request on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, err := New(nil)
			require.NoError(t, err)
			require.Zero(t, l.Take("c", Limit{PerSecond: 100}))
			require.Zero(t, l.Take("c", Limit{PerSecond: 1}))
			require.Positive(t, l.Take("c", Limit{PerSecond: 1}))
		})
	})
}

// world is some nodes at a rate limit, with a record of what they let through.
type world struct {
	limit  Limit
	nodes  []*Limiter
	passed []time.Time
}

func (w *world) ask(node int) time.Duration {
	wait := w.nodes[node].TakeShared("c", w.limit)
	if wait == 0 {
		w.passed = append(w.passed, time.Now())
	}
	return wait
}

// worst returns by how many requests any stretch of time exceeds rate × w: the bound of the
// package says n × (burst + rate).
func (w *world) worst() float64 {
	worst, least := 0.0, math.Inf(1)
	for i, at := range w.passed { // the maximum of (j - i + 1) - rate × (t_j - t_i)
		seconds := at.Sub(w.passed[0]).Seconds()
		least = min(least, float64(i)-w.limit.rate()*seconds)
		worst = max(worst, float64(i+1)-w.limit.rate()*seconds-least)
	}
	return worst
}

// delays are of the way to Redis: of a source of their own, for nodes ask at the same time.
func delays(seed int) func() time.Duration {
	r := rand.New(rand.NewPCG(uint64(seed), 13)) //nolint:gosec // repeatable
	var mu sync.Mutex
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(r.Int64N(int64(MaxWay / 2)))
	}
}

func TestBoundOverAllNodes(t *testing.T) {
	for _, nodes := range []int{1, 2, 5} {
		for name, pick := range map[string]func(r *rand.Rand, step int) int{
			"every node at once":       func(_ *rand.Rand, step int) int { return step % nodes },
			"one node after the other": func(_ *rand.Rand, step int) int { return step / 1500 % nodes },
			"any node":                 func(r *rand.Rand, _ int) int { return r.IntN(nodes) },
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(nodes), 7)) //nolint:gosec // repeatable
					w := &world{limit: Limit{PerSecond: 40, Burst: 20}}
					w.nodes = run(t, &central{delay: delays(nodes)}, nodes)
					for step := range 60_000 { // a minute, of which some seconds are quiet
						if step%10_000 < 8_000 {
							w.ask(pick(r, step))
						}
						time.Sleep(time.Millisecond)
					}
					require.LessOrEqual(t, w.worst(), float64(nodes)*(w.limit.burst()+w.limit.rate()))
					total := w.limit.rate()*60 + float64(nodes)*(w.limit.burst()+w.limit.rate())
					require.LessOrEqual(t, float64(len(w.passed)), total)
					require.Greater(t, float64(len(w.passed)), w.limit.rate()*60*.75, "what is asked for is used")
				})
			})
		}
	}
}

// TestInsideTheLimit: whatever the spread over nodes, a client that keeps to rate and burst is
// served for a minute.
func TestInsideTheLimit(t *testing.T) {
	for _, nodes := range []int{1, 2, 5} {
		for name, burst := range map[string]int{"evenly": 1, "in bursts": 20, "as it likes": 0} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(nodes), 11)) //nolint:gosec // repeatable
					w := &world{limit: Limit{PerSecond: 40, Burst: 20}}
					w.nodes = run(t, &central{delay: delays(nodes)}, nodes)
					own := 20.0 // the client's own bucket
					for begun := time.Now(); time.Since(begun) < time.Minute; {
						n := burst
						if n == 0 {
							n = 1 + r.IntN(20)
						}
						for own < float64(n) {
							time.Sleep(time.Second / 40)
							own = min(20, own+1)
						}
						node := r.IntN(nodes) // of a burst all go to one
						for range n {
							require.Zero(t, w.ask(node), "after %s, request %d", time.Since(begun), len(w.passed))
							own--
						}
					}
					require.GreaterOrEqual(t, len(w.passed), 2380)
				})
			})
		}
	}
}

func TestRedisAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &central{failed: errors.New("connection refused")}
		w := &world{limit: Limit{PerSecond: 10}}
		var log bytes.Buffer
		l, err := New(x)
		require.NoError(t, err)
		w.nodes = append(run(t, x, 1), l)
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		defer done.Wait()
		defer cancel()
		done.Go(func() { l.Run(ctx, slog.New(slog.NewTextHandler(&log, nil))) })
		ask := func(seconds int) (passed int) {
			for step := range seconds * 1000 {
				if w.ask(step%2) == 0 {
					passed++
				}
				time.Sleep(time.Millisecond)
			}
			return passed
		}
		require.InDelta(t, 2*(10*60+10), ask(60), 4, "each node keeps the limit alone")
		require.False(t, l.Shared())
		require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("this node counts alone")), "one line for one outage")
		x.mu.Lock()
		x.failed = nil
		x.mu.Unlock()
		require.LessOrEqual(t, ask(60), 10*60+2*(10+10), "and together when Redis is back")
		require.True(t, l.Shared())
		require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("are shared again")))
	})
}

// TestLateCounts: a node that was held up must not tell of requests as if they were of now.
func TestLateCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket("c", Limit{PerSecond: 10, Burst: 10}, time.Now())
		for range 10 {
			require.Zero(t, b.take(time.Now(), b.limit).wait)
		}
		time.Sleep(MaxAge - MaxWay + 400*time.Millisecond)
		require.Equal(t, 6, b.report(time.Now()).Count, "in 400 ms a bucket gains 4")
		require.Zero(t, b.report(time.Now()).Count, "what was told is told once")
	})
}

// TestNodesComeAndGo: what a node that goes has not told is at most what it let through in Every.
func TestNodesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &central{}
		w := &world{limit: Limit{PerSecond: 10}}
		for range 20 { // a rolling restart, of one node after the other
			ctx, cancel := context.WithCancel(t.Context())
			l, err := New(x)
			require.NoError(t, err)
			var done sync.WaitGroup
			done.Go(func() { l.Run(ctx, slog.New(slog.DiscardHandler)) })
			w.nodes = []*Limiter{l}
			for range 3000 {
				w.ask(0)
				time.Sleep(time.Millisecond)
			}
			cancel()
			done.Wait()
		}
		require.LessOrEqual(t, len(w.passed), 10*60+20*10, "a node that comes has a burst of its own, until it was told")
	})
}

func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t, &central{}, 1)[0]
		count := func() (n int) {
			for _, m := range []*sync.Map{&l.shared, &l.own} {
				m.Range(func(any, any) bool { n++; return true })
			}
			return n
		}
		require.Zero(t, l.TakeShared("a", Limit{PerSecond: 1}))
		require.Zero(t, l.Take("b", Limit{PerSecond: 1}))
		require.Zero(t, l.TakeShared("slow", Limit{PerSecond: 1, Burst: 1}))
		require.Equal(t, 3, count())
		time.Sleep(sweepEvery + time.Second)
		require.Zero(t, count(), "a full bucket is as good as none")
		require.Zero(t, l.TakeShared("a", Limit{PerSecond: 1}))
		require.Positive(t, l.TakeShared("a", Limit{PerSecond: 1}))
	})
}
