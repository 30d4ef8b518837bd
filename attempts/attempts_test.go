package attempts

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/redisdb"
	"github.com/grantor-auth/grantor/redisdb/redistest"
)

// contract is what both counters do.
func contract(t *testing.T, c Counter) {
	t.Run("V-11 fifty at one moment are counted one by one", func(t *testing.T) {
		s := SubjectOf("k", "parallel")
		var mu sync.Mutex
		seen := map[int]bool{}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				n, left, err := c.Add(t.Context(), s, time.Minute)
				mu.Lock()
				defer mu.Unlock()
				seen[n] = err == nil && left > 59*time.Second && left <= time.Minute
			})
		}
		wg.Wait()
		for n := 1; n <= 50; n++ {
			require.True(t, seen[n], n)
		}
	})
	t.Run("the window begins with the first and ends by itself", func(t *testing.T) {
		s := SubjectOf("k", "window")
		for want := 1; want <= 2; want++ {
			n, _, err := c.Add(t.Context(), s, 300*time.Millisecond)
			require.NoError(t, err)
			require.Equal(t, want, n)
		}
		require.Eventually(t, func() bool {
			n, _, err := c.Add(t.Context(), SubjectOf("k", "window"), 300*time.Millisecond)
			return err == nil && n == 1
		}, 3*time.Second, 50*time.Millisecond)
	})
	t.Run("V-11 of fifty at one moment as many are held as may be", func(t *testing.T) {
		s := SubjectOf("k", "held at once")
		var allowed atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if n, _, err := c.Hold(t.Context(), s, newEvent(), 5, time.Minute); err == nil && n <= 5 {
					allowed.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 5, allowed.Load())
		n, left, err := c.Hold(t.Context(), s, newEvent(), 5, time.Minute)
		require.NoError(t, err)
		require.Equal(t, 6, n)
		require.InDelta(t, time.Minute, left, float64(5*time.Second))
	})
	t.Run("V-03 an event that is counted twice by the network layer counts once; released it is gone; kept it stays", func(t *testing.T) {
		s, e, f := SubjectOf("k", "events"), newEvent(), newEvent()
		for range 2 {
			n, _, err := c.Hold(t.Context(), s, e, 5, time.Minute)
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
		_, _, err := c.Hold(t.Context(), s, f, 5, 300*time.Millisecond)
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, c.Release(t.Context(), s, e))
		}
		n, err := c.Held(t.Context(), s)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.NoError(t, c.Keep(t.Context(), s, e, time.Minute))
		require.Eventually(t, func() bool { n, err := c.Held(t.Context(), s); return err == nil && n == 1 }, 3*time.Second, 20*time.Millisecond,
			"what nobody confirmed ends by itself")
		require.NoError(t, c.Reset(t.Context(), s))
		n, err = c.Held(t.Context(), s)
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

func TestMemory(t *testing.T) { contract(t, NewMemory()) }

func TestRedis(t *testing.T) {
	s := redistest.Start(t)
	db, err := redisdb.Open(redisdb.Config{URL: s.URL})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	contract(t, NewRedis(db))
	t.Run("S-64 every counter has a lifetime", func(t *testing.T) {
		for _, k := range s.Client().Keys(t.Context(), "*").Val() {
			require.Positive(t, s.Client().PTTL(t.Context(), k).Val())
		}
	})
}

func TestSubjectsDoNotCollide(t *testing.T) {
	require.NotEqual(t, SubjectOf("k", "ab", "c"), SubjectOf("k", "a", "bc"))
	require.NotEqual(t, SubjectOf("ka", "b"), SubjectOf("k", "ab"))
}

func TestLimit(t *testing.T) {
	l := NewLimit(NewMemory(), "client", 3, time.Minute)
	for range 2 {
		require.NoError(t, l.Failed(t.Context(), "x"))
		require.Zero(t, l.Blocked("x"))
	}
	require.NoError(t, l.Failed(t.Context(), "x"))
	require.Positive(t, l.Blocked("x"))
	require.Zero(t, l.Blocked("y"))
}

func TestGuesses(t *testing.T) {
	reserve := func(t *testing.T, g *Guesses, user, address string) (*Attempt, Verdict) {
		a, v, _, err := g.Reserve(t.Context(), user, address)
		require.NoError(t, err)
		return a, v
	}
	t.Run("S-11 V-11 the sixth attempt is refused, also when fifty come at one moment", func(t *testing.T) {
		g := NewGuesses(NewMemory(), 5, -1, time.Minute)
		var mu sync.Mutex
		allowed := 0
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				_, v, _, err := g.Reserve(t.Context(), "ada", "a")
				mu.Lock()
				defer mu.Unlock()
				if err == nil && v == Allowed {
					allowed++
				}
			})
		}
		wg.Wait()
		require.Equal(t, 5, allowed)
	})
	t.Run("S-12 a new address is no new budget", func(t *testing.T) {
		g := NewGuesses(NewMemory(), 5, -1, time.Minute)
		for i := range 6 {
			_, v := reserve(t, g, "ada", string(rune('a'+i)))
			require.Equal(t, i == 5, v == UserLocked)
		}
	})
	t.Run("S-15 strangers' guesses do not shut the owner out of a known address", func(t *testing.T) {
		g := NewGuesses(NewMemory(), 5, -1, time.Minute)
		a, _ := reserve(t, g, "ada", "home")
		require.NoError(t, a.Succeeded(t.Context()))
		for range 10 {
			reserve(t, g, "ada", "stranger")
		}
		_, v := reserve(t, g, "ada", "stranger")
		require.Equal(t, UserLocked, v)
		_, v = reserve(t, g, "ada", "home")
		require.Equal(t, Allowed, v)
	})
	t.Run("S-13 spraying many users from one address", func(t *testing.T) {
		g := NewGuesses(NewMemory(), 5, 100, time.Minute)
		for i := range 101 {
			_, v := reserve(t, g, string(rune(i)), "a")
			require.Equal(t, i == 100, v == AddressLocked)
		}
	})
	t.Run("what was no failure is given back", func(t *testing.T) {
		g := NewGuesses(NewMemory(), 2, 2, time.Minute)
		for range 10 {
			a, v := reserve(t, g, "ada", "a")
			require.Equal(t, Allowed, v)
			require.NoError(t, a.Abandoned(t.Context()))
		}
	})
}
