package lockout

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// guesser counts failures of one user.
type guesser struct {
	t      *testing.T
	g      *Lockout
	target Target
}

func (s guesser) try(address string, right bool) Verdict {
	s.t.Helper()
	a, v, _, err := s.g.Begin(s.t.Context(), address)
	require.NoError(s.t, err)
	if v != Allowed {
		return v
	}
	v, _, err = a.ForUser(s.t.Context(), s.target)
	require.NoError(s.t, err)
	if v != Allowed {
		return v
	}
	if right {
		require.NoError(s.t, a.Succeeded(s.t.Context()))
	} else {
		require.NoError(s.t, a.Failed(s.t.Context()))
	}
	return v
}

func (s guesser) lock(address string) {
	s.t.Helper()
	for range 5 {
		require.Equal(s.t, Allowed, s.try(address, false))
	}
	require.Equal(s.t, UserLocked, s.try(address, true))
}

func TestUnlock(t *testing.T) {
	s := redistest.Start(t)
	db, err := redisdb.Open(redisdb.Config{URL: s.URL})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	for name, counter := range map[string]Counter{"memory": NewMemory(), "redis": NewRedis(db)} {
		t.Run(name, func(t *testing.T) { testUnlock(t, counter) })
	}
}

func testUnlock(t *testing.T, counter Counter) {
	t.Helper()
	g := New(counter, 5, 100, 10*time.Minute)
	ctx := t.Context()
	user := func(id string) guesser {
		return guesser{t, g, Target{Key: "id:" + id, Password: "first", Subject: id}}
	}
	t.Run("S-12 who is not locked has no budgets, and nothing to unlock", func(t *testing.T) {
		list, err := g.Budgets(ctx, "id:nobody")
		require.NoError(t, err)
		require.Empty(t, list)
		n, err := g.Unlock(ctx, "id:nobody")
		require.NoError(t, err)
		require.Zero(t, n)
	})
	t.Run("S-12 S-15 an unlocked user is unlocked at strangers' addresses and at their own", func(t *testing.T) {
		ada := user("ada")
		require.Equal(t, Allowed, ada.try("home", true))
		ada.lock("home")
		ada.lock("elsewhere")
		list, err := g.Budgets(ctx, "id:ada")
		require.NoError(t, err)
		require.Len(t, list, 2)
		for _, b := range list {
			require.Contains(t, []string{"home", ""}, b.Network)
			require.Equal(t, 5, b.Failures)
			require.InDelta(t, 10*time.Minute, b.Locked, float64(10*time.Second))
		}
		n, err := g.Unlock(ctx, "id:ada")
		require.NoError(t, err)
		require.Equal(t, 10, n)
		list, err = g.Budgets(ctx, "id:ada")
		require.NoError(t, err)
		require.Empty(t, list)
		require.Equal(t, Allowed, ada.try("home", true))
		require.Equal(t, Allowed, ada.try("elsewhere", true))
	})
	t.Run("S-12 unlocking one leaves others locked, and they are listed", func(t *testing.T) {
		user("bob").lock("a1")
		user("eve").lock("a2")
		user("low").try("a3", false)
		guesser{t, g, Target{Key: "name:ghost"}}.lock("a4")
		_, err := g.Unlock(ctx, "id:bob")
		require.NoError(t, err)
		require.Equal(t, UserLocked, user("eve").try("a2", true))
		list, err := g.Recent(ctx)
		require.NoError(t, err)
		require.Len(t, list, 1, "a name that is nobody's and a user with few failures are not listed")
		require.Equal(t, "eve", list[0].Subject)
		require.Positive(t, list[0].Locked)
		n, err := g.Unlock(ctx, "name:ghost")
		require.NoError(t, err)
		require.Equal(t, 5, n)
	})
	t.Run("S-13 an address is unlocked alone", func(t *testing.T) {
		for i := range 100 {
			user(fmt.Sprint("u", i)).try("office", false)
		}
		_, v, _, err := g.Begin(ctx, "office")
		require.NoError(t, err)
		require.Equal(t, AddressLocked, v)
		b, err := g.Address(ctx, "office")
		require.NoError(t, err)
		require.Equal(t, 100, b.Failures)
		require.Positive(t, b.Locked)
		n, err := g.UnlockAddress(ctx, "office")
		require.NoError(t, err)
		require.Equal(t, 100, n)
		require.Equal(t, Allowed, user("new").try("office", true))
	})
	t.Run("V-11 the failures of a name that the password identified are unlocked with the user", func(t *testing.T) {
		for range 5 {
			a, v, _, err := g.Begin(ctx, "late")
			require.NoError(t, err)
			require.Equal(t, Allowed, v)
			v, _, err = a.ForUser(ctx, Target{Key: "name:late"})
			require.NoError(t, err)
			require.Equal(t, Allowed, v)
			_, err = a.Identified(ctx, Target{Key: "id:late", Subject: "late"})
			require.NoError(t, err)
			require.NoError(t, a.Failed(ctx))
		}
		n, err := g.Unlock(ctx, "id:late", "name:late")
		require.NoError(t, err)
		require.Equal(t, 10, n)
	})
}
