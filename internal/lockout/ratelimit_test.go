package lockout

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
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
	t.Run("V-11 of fifty at one moment as many are held as may be; the others are busy, not full", func(t *testing.T) {
		s := SubjectOf("k", "held at once")
		var results [3]atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if held, err := c.Hold(t.Context(), s, newEntryID(), 5, time.Minute); err == nil {
					results[held.Result].Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 5, results[Held].Load())
		require.EqualValues(t, 45, results[Busy].Load())
	})
	t.Run("kept events alone are full, and say until when", func(t *testing.T) {
		s := SubjectOf("k", "full")
		for i := range 6 { // one more than the limit: the first to end makes no room
			require.NoError(t, c.Keep(t.Context(), s, newEntryID(), time.Duration(i+1)*time.Minute))
		}
		held, err := c.Hold(t.Context(), s, newEntryID(), 5, time.Minute)
		require.NoError(t, err)
		require.Equal(t, Full, held.Result)
		require.InDelta(t, 2*time.Minute, held.Left, float64(5*time.Second))
	})
	t.Run("V-03 an event that is counted twice by the network layer counts once; released it is gone; kept it stays", func(t *testing.T) {
		s, e, f := SubjectOf("k", "events"), newEntryID(), newEntryID()
		for range 2 {
			held, err := c.Hold(t.Context(), s, e, 1, time.Minute)
			require.NoError(t, err)
			require.Equal(t, Held, held.Result)
		}
		held, err := c.Hold(t.Context(), s, f, 1, time.Minute)
		require.NoError(t, err)
		require.Equal(t, Busy, held.Result)
		for range 2 {
			require.NoError(t, c.Release(t.Context(), s, e))
		}
		held, err = c.Hold(t.Context(), s, f, 1, 300*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, Held, held.Result)
		for range 2 {
			require.NoError(t, c.Keep(t.Context(), s, e, time.Minute))
		}
		require.NoError(t, c.Release(t.Context(), s, e), "what is kept stays")
		n, err := c.Kept(t.Context(), s)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Eventually(t, func() bool {
			held, err := c.Hold(t.Context(), s, newEntryID(), 2, time.Minute)
			return err == nil && held.Result == Held
		},
			3*time.Second, 20*time.Millisecond, "what nobody confirmed ends by itself")
	})
	t.Run("V-11 a success forgets failures and not what others have under way", func(t *testing.T) {
		s, own := SubjectOf("k", "reset"), newEntryID()
		require.NoError(t, c.Keep(t.Context(), s, newEntryID(), time.Minute))
		for _, e := range []EntryID{own, newEntryID()} {
			_, err := c.Hold(t.Context(), s, e, 3, time.Minute)
			require.NoError(t, err)
		}
		require.NoError(t, c.Reset(t.Context(), s, own))
		n, err := c.Kept(t.Context(), s)
		require.NoError(t, err)
		require.Zero(t, n)
		held, err := c.Hold(t.Context(), s, newEntryID(), 2, time.Minute)
		require.NoError(t, err)
		require.Equal(t, Held, held.Result)
		held, err = c.Hold(t.Context(), s, newEntryID(), 2, time.Minute)
		require.NoError(t, err)
		require.Equal(t, Busy, held.Result)
	})
}

// contractForOperators is what both counters tell an operator.
func contractForOperators(t *testing.T, c Counter) {
	t.Run("kept entries say how long they count, reservations do not", func(t *testing.T) {
		s := SubjectOf("k", "left")
		require.NoError(t, c.Keep(t.Context(), s, newEntryID(), 2*time.Minute))
		require.NoError(t, c.Keep(t.Context(), s, newEntryID(), time.Minute))
		_, err := c.Hold(t.Context(), s, newEntryID(), 5, time.Minute)
		require.NoError(t, err)
		left, err := c.Entries(t.Context(), s)
		require.NoError(t, err)
		require.Len(t, left, 2)
		require.InDelta(t, time.Minute, left[0], float64(5*time.Second))
		require.InDelta(t, 2*time.Minute, left[1], float64(5*time.Second))
	})
	t.Run("a count is read without counting, and forgotten", func(t *testing.T) {
		s := SubjectOf("k", "count")
		n, left, err := c.Count(t.Context(), s)
		require.NoError(t, err)
		require.Zero(t, n)
		require.Zero(t, left)
		_, _, err = c.Add(t.Context(), s, time.Minute)
		require.NoError(t, err)
		for range 2 {
			n, left, err = c.Count(t.Context(), s)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.InDelta(t, time.Minute, left, float64(5*time.Second))
		}
		require.NoError(t, c.Forget(t.Context(), s))
		n, _, err = c.Count(t.Context(), s)
		require.NoError(t, err)
		require.Zero(t, n)
	})
	t.Run("V-11 notes are bounded, the newest come first, and a repetition is one note", func(t *testing.T) {
		s := SubjectOf("k", "notes")
		for _, text := range []string{"a", "b", "c", "b", "p\x00\xff"} {
			require.NoError(t, c.Note(t.Context(), s, text, time.Minute, 3))
			time.Sleep(2 * time.Millisecond) // Redis counts milliseconds
		}
		texts, err := c.Noted(t.Context(), s)
		require.NoError(t, err)
		require.Equal(t, []string{"p\x00\xff", "b", "c"}, texts)
	})
	t.Run("notes end by themselves", func(t *testing.T) {
		s := SubjectOf("k", "short notes")
		require.NoError(t, c.Note(t.Context(), s, "a", 50*time.Millisecond, 3))
		require.Eventually(t, func() bool {
			texts, err := c.Noted(t.Context(), s)
			return err == nil && len(texts) == 0
		}, 3*time.Second, 10*time.Millisecond)
	})
}

func TestMemory(t *testing.T) {
	contractForOperators(t, NewMemory())
	contract(t, NewMemory())
}

func TestRedis(t *testing.T) {
	s := redistest.Start(t)
	db, err := redisdb.Open(redisdb.Config{URL: s.URL})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	contract(t, NewRedis(db))
	contractForOperators(t, NewRedis(db))
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
	l := NewRateLimit(NewMemory(), "client", 3, time.Minute)
	for range 2 {
		require.NoError(t, l.Failed(t.Context(), "x"))
		require.Zero(t, l.Blocked("x"))
	}
	require.NoError(t, l.Failed(t.Context(), "x"))
	require.Positive(t, l.Blocked("x"))
	require.Zero(t, l.Blocked("y"))
}
