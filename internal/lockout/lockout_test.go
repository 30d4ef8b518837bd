package lockout

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// guess reserves an attempt as the server does.
func guess(ctx context.Context, g *Lockout, user, address string) (*Reservation, Verdict, time.Duration, error) {
	a, v, left, err := g.Begin(ctx, address)
	if err == nil && v == Allowed {
		v, left, err = a.ForUser(ctx, Target{Key: user})
	}
	return a, v, left, err
}

func mustGuess(t *testing.T, g *Lockout, user, address string) (*Reservation, Verdict) {
	t.Helper()
	a, v, _, err := guess(t.Context(), g, user, address)
	require.NoError(t, err)
	return a, v
}

func fail(t *testing.T, g *Lockout, user, address string) Verdict {
	t.Helper()
	a, v := mustGuess(t, g, user, address)
	if v == Allowed {
		require.NoError(t, a.Failed(t.Context()))
	}
	return v
}

func TestLockout(t *testing.T) {
	t.Run("S-12 a new address is no new budget", func(t *testing.T) {
		g := New(NewMemory(), 5, -1, time.Minute)
		for i := range 6 {
			require.Equal(t, i == 5, fail(t, g, "ada", string(rune('a'+i))) == UserLocked)
		}
	})
	t.Run("S-15 strangers' guesses do not shut the owner out of a known address", func(t *testing.T) {
		g := New(NewMemory(), 5, -1, time.Minute)
		a, _ := mustGuess(t, g, "ada", "home")
		require.NoError(t, a.Succeeded(t.Context()))
		for range 10 {
			fail(t, g, "ada", "stranger")
		}
		require.Equal(t, UserLocked, fail(t, g, "ada", "stranger"))
		require.Equal(t, Allowed, fail(t, g, "ada", "home"))
	})
	t.Run("S-13 spraying many users from one address", func(t *testing.T) {
		g := New(NewMemory(), 5, 100, time.Minute)
		for i := range 101 {
			require.Equal(t, i == 100, fail(t, g, string(rune(i)), "a") == AddressLocked)
		}
		_, v, left, err := guess(t.Context(), g, "x", "a")
		require.NoError(t, err)
		require.Equal(t, AddressLocked, v)
		require.Positive(t, left)
	})
	t.Run("what was no failure is given back", func(t *testing.T) {
		g := New(NewMemory(), 2, 2, time.Minute)
		for range 10 {
			a, v := mustGuess(t, g, "ada", "a")
			require.Equal(t, Allowed, v)
			require.NoError(t, a.Abandoned(t.Context()))
		}
	})
	t.Run("S-13 refusals of a locked user count for the address, and lengthen no lock", func(t *testing.T) {
		counter := NewMemory()
		g := New(counter, 2, 5, time.Minute)
		for i := range 6 {
			require.Equal(t, []Verdict{Allowed, Allowed, UserLocked, UserLocked, UserLocked, AddressLocked}[i], fail(t, g, "ada", "a"))
		}
		kept, err := counter.Kept(t.Context(), SubjectOf("password.user", "ada", ""))
		require.NoError(t, err)
		require.Equal(t, 2, kept)
	})
	t.Run("a new password has no failures, at known addresses neither", func(t *testing.T) {
		g := New(NewMemory(), 1, -1, time.Minute)
		try := func(password, address string) (*Reservation, Verdict) {
			a, _, _, err := g.Begin(t.Context(), address)
			require.NoError(t, err)
			v, _, err := a.ForUser(t.Context(), Target{Key: "id:u-1", Password: password})
			require.NoError(t, err)
			return a, v
		}
		a, _ := try("old", "home")
		require.NoError(t, a.Succeeded(t.Context()))
		for _, address := range []string{"home", "stranger"} {
			a, v := try("old", address)
			require.Equal(t, Allowed, v)
			require.NoError(t, a.Failed(t.Context()))
			_, v = try("old", address)
			require.Equal(t, UserLocked, v)
			a, v = try("new", address)
			require.Equal(t, Allowed, v)
			require.NoError(t, a.Abandoned(t.Context()))
		}
	})
	t.Run("S-11 the directory's word whose name it was: failures count for the user under any spelling", func(t *testing.T) {
		g := New(NewMemory(), 3, -1, time.Minute)
		ada := Target{Key: "id:u-1"}
		for i := range 3 {
			a, v := mustGuess(t, g, fmt.Sprintf("name:ada %d", i), "a")
			require.Equal(t, Allowed, v)
			v, err := a.Identified(t.Context(), ada)
			require.NoError(t, err)
			require.Equal(t, Allowed, v)
			require.NoError(t, a.Failed(t.Context()))
		}
		a, v := mustGuess(t, g, "name:ada once more", "a")
		require.Equal(t, Allowed, v, "nobody knows yet")
		v, err := a.Identified(t.Context(), ada)
		require.NoError(t, err)
		require.Equal(t, UserLocked, v)
		require.NoError(t, a.Refused(t.Context()))
	})
}

// TestUnderway waits in virtual time.
func TestUnderway(t *testing.T) {
	t.Run("V-11 S-11 of fifty wrong guesses at one moment five are compared, and all others are refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := New(NewMemory(), 5, 100, time.Minute)
			var verdicts [4]atomic.Int64
			for range 50 {
				go func() {
					a, v, _, err := guess(t.Context(), g, "ada", "a")
					if err == nil && v == Allowed {
						time.Sleep(time.Second) // the hash
						err = a.Failed(t.Context())
					}
					if err == nil {
						verdicts[v].Add(1)
					}
				}()
			}
			time.Sleep(time.Minute / 2)
			require.EqualValues(t, 5, verdicts[Allowed].Load())
			require.EqualValues(t, 45, verdicts[UserLocked].Load())
		})
	})
	for name, c := range map[string]struct{ perUser, perAddress, users int }{
		"12 of one user":                    {5, 100, 1},
		"200 from one address":              {5, 20, 200},
		"60 of 10 users from one address":   {2, 3, 10},
		"as many as limits of one and none": {1, -1, 1},
	} {
		t.Run("V-03 right passwords at one moment are none refused: "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := New(NewMemory(), c.perUser, c.perAddress, time.Minute)
				n := max(12, c.users)
				var allowed, most, now atomic.Int64
				for i := range n {
					go func() {
						a, v, _, err := guess(t.Context(), g, fmt.Sprint(i%c.users), "a")
						if err == nil && v == Allowed {
							most.Store(max(most.Load(), now.Add(1)))
							time.Sleep(20 * time.Millisecond)
							now.Add(-1)
							if a.Succeeded(t.Context()) == nil {
								allowed.Add(1)
							}
						}
					}()
				}
				time.Sleep(10 * time.Second)
				require.EqualValues(t, n, allowed.Load())
				if c.perAddress > 0 {
					require.LessOrEqual(t, most.Load(), int64(c.perAddress))
				}
			})
		})
	}
	t.Run("what never ends is waited for as long as MaxWait, by as many as may wait, and is then unknown and not wrong", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := New(NewMemory(), 5, -1, time.Minute)
			for range 5 {
				mustGuess(t, g, "ada", "a")
			}
			var soon, late atomic.Int64
			for range maxUserWaiters + 36 {
				go func() {
					begun := time.Now()
					if _, v, _, err := guess(t.Context(), g, "ada", "a"); err != nil || v != Underway {
						return
					}
					switch time.Since(begun) {
					case 0:
						soon.Add(1)
					case MaxWait:
						late.Add(1)
					}
				}()
			}
			time.Sleep(MaxWait + time.Second)
			require.EqualValues(t, 36, soon.Load(), "who finds the line full is told at once")
			require.EqualValues(t, maxUserWaiters, late.Load())
			require.Empty(t, g.lines.of)
		})
	})
	t.Run("what a node that has gone held ends by itself", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			counter := NewMemory()
			for range 5 {
				mustGuess(t, New(counter, 5, -1, time.Minute), "ada", "a")
			}
			g := New(counter, 5, -1, time.Minute)
			time.Sleep(pending - MaxWait/2)
			_, v := mustGuess(t, g, "ada", "a")
			require.Equal(t, Allowed, v)
		})
	})
	t.Run("who waits for a user's attempts holds no place of the address", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := New(NewMemory(), 1, 3, time.Minute)
			mustGuess(t, g, "ada", "office")
			for range 10 {
				go guess(t.Context(), g, "ada", "office") //nolint:errcheck // it waits
			}
			synctest.Wait()
			begun := time.Now()
			_, v := mustGuess(t, g, "bob", "office")
			require.Equal(t, Allowed, v)
			require.Zero(t, time.Since(begun))
			time.Sleep(time.Minute)
		})
	})
}

// TestTwoNodes guesses over two nodes with one real Redis.
func TestTwoNodes(t *testing.T) {
	s := redistest.Start(t)
	var nodes [2]*Lockout
	for i := range nodes {
		db, err := redisdb.Open(redisdb.Config{URL: s.URL})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		nodes[i] = New(NewRedis(db), 5, 1000, time.Minute)
	}
	each := func(n int, end func(*Reservation, Verdict) error) (verdicts [4]int) {
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				a, v, _, err := guess(t.Context(), nodes[i%2], "ada", "a")
				if err == nil {
					err = end(a, v)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					verdicts[v]++
				}
			})
		}
		all.Wait()
		return verdicts
	}
	t.Run("V-03 forty right logins over two nodes: none is told wrong", func(t *testing.T) {
		got := each(40, func(a *Reservation, v Verdict) error {
			if v != Allowed {
				return nil
			}
			time.Sleep(time.Millisecond)
			return a.Abandoned(t.Context())
		})
		require.Zero(t, got[UserLocked])
		require.Zero(t, got[AddressLocked])
		require.Equal(t, 40, got[Allowed]+got[Underway])
	})
	t.Run("V-11 four hundred wrong guesses over two nodes: five are compared", func(t *testing.T) {
		got := each(400, func(a *Reservation, v Verdict) error {
			if v != Allowed {
				return nil
			}
			time.Sleep(5 * time.Millisecond)
			return a.Failed(t.Context())
		})
		require.Equal(t, 5, got[Allowed])
		require.Zero(t, got[AddressLocked])
		require.Equal(t, 395, got[UserLocked]+got[Underway])
	})
}
