package redisdb_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

var (
	readAndWrite = redisdb.NewScript(`redis.call('SET', KEYS[2], ARGV[1], 'PX', 60000) return redis.call('GET', KEYS[1])`)
	readOnly     = redisdb.NewScript(`return redis.call('GET', KEYS[1])`)
)

func readProven(t *testing.T, db *redisdb.DB) (any, error) {
	return db.EvalProven(t.Context(), readAndWrite, readOnly, []string{"{a}k", "{a}beat"}, "x")
}

func TestEvalProven(t *testing.T) {
	t.Parallel()
	t.Run("S-23 beside a primary that was cut off nothing is proven, though it is answered", func(t *testing.T) {
		t.Parallel()
		s, cfg := sentinels(t)
		db := open(t, cfg)
		require.NoError(t, db.Set(t.Context(), "{a}k", []byte("v"), time.Minute))
		for range 2 {
			v, err := readProven(t, db)
			require.NoError(t, err)
			require.Equal(t, "v", v)
		}
		old := s.Primary()
		cutOff(t, s, old)
		_, err := readProven(t, db)
		require.ErrorIs(t, err, redisdb.ErrUnavailable)
		require.ErrorContains(t, err, "it is not known whether "+old.Addr+" is still the primary")
		got, err := db.Get(t.Context(), "{a}k")
		require.NoError(t, err)
		require.Equal(t, "v", string(got), "reading alone says nothing")
		s.AwaitPrimary(old)
		_, err = readProven(t, db)
		require.Error(t, err)
	})
	t.Run("S-20 a replica that is lost takes nothing out of service, nor does a primary that refuses writes for that", func(t *testing.T) {
		t.Parallel()
		s, cfg := sentinels(t)
		db := open(t, cfg)
		require.NoError(t, db.Set(t.Context(), "{a}k", []byte("v"), time.Minute))
		_, err := readProven(t, db)
		require.NoError(t, err)
		primary := s.Primary()
		for _, one := range s.Servers {
			if one != primary {
				one.Stop()
			}
		}
		v, err := readProven(t, db)
		require.NoError(t, err, "the Sentinels name it")
		require.Equal(t, "v", v)
		require.NoError(t, primary.Client().ConfigSet(t.Context(), "min-replicas-to-write", "1").Err())
		require.Eventually(t, func() bool { return redisdb.OnlyReads(db.Set(t.Context(), "k", nil, time.Minute)) }, 15*time.Second, 50*time.Millisecond)
		v, err = readProven(t, db)
		require.NoError(t, err)
		require.Equal(t, "v", v)
		s.Sentinels[0].Stop()
		s.Sentinels[1].Stop()
		_, err = readProven(t, db)
		require.Error(t, err, "one Sentinel is no majority")
	})
	t.Run("S-20 nor do lost Sentinels, as long as all replicas confirm", func(t *testing.T) {
		t.Parallel()
		s, cfg := sentinels(t)
		db := open(t, cfg)
		_, err := readProven(t, db)
		require.NoError(t, err)
		for _, one := range s.Sentinels {
			one.Stop()
		}
		_, err = readProven(t, db)
		require.NoError(t, err)
	})
	t.Run("a caller that goes away does not wait for its turn", func(t *testing.T) {
		t.Parallel()
		srv := redistest.Start(t)
		db := open(t, redisdb.Config{URL: srv.URL, Timeout: 2 * time.Second})
		srv.Pause()
		defer srv.Resume()
		go func() { _, _ = readProven(t, db) }()
		time.Sleep(50 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		_, err := db.EvalProven(ctx, readAndWrite, readOnly, []string{"{a}k", "{a}beat"}, "x")
		require.ErrorIs(t, err, redisdb.ErrUnavailable)
		require.Less(t, time.Since(begun), time.Second)
	})
}

func TestAwaitEntry(t *testing.T) {
	t.Parallel()
	add := func(t *testing.T, db *redisdb.DB) {
		t.Helper()
		_, err := db.Eval(t.Context(), redisdb.NewScript(`return redis.call('XADD', KEYS[1], '*', 'a', 'b')`), []string{"{a}s"})
		require.NoError(t, err)
	}
	hears := func(t *testing.T, db *redisdb.DB, id string) {
		t.Helper()
		heard := make(chan error, 1)
		begun := time.Now()
		go func() { heard <- db.AwaitEntry(t.Context(), "{a}s", id, 5*time.Second) }()
		time.Sleep(50 * time.Millisecond)
		add(t, db)
		require.NoError(t, <-heard)
		require.Less(t, time.Since(begun), 4*time.Second)
	}
	t.Run("it returns when there is an entry, or when its time is over", func(t *testing.T) {
		t.Parallel()
		db := open(t, redisdb.Config{URL: redistest.Start(t).URL, Timeout: 200 * time.Millisecond})
		hears(t, db, "0")
		begun := time.Now()
		require.NoError(t, db.AwaitEntry(t.Context(), "{a}s", "$", 600*time.Millisecond), "the timeout of other commands does not count")
		require.GreaterOrEqual(t, time.Since(begun), 600*time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.Error(t, db.AwaitEntry(ctx, "{a}s", "$", 5*time.Second))
	})
	t.Run("who waits holds up no other command", func(t *testing.T) {
		t.Parallel()
		db := open(t, redisdb.Config{URL: redistest.Start(t).URL})
		for range 16 {
			go func() { _ = db.AwaitEntry(t.Context(), "{a}s", "0", 2*time.Second) }()
		}
		begun := time.Now()
		for range 100 {
			require.NoError(t, db.Set(t.Context(), "k", nil, time.Minute))
		}
		require.Less(t, time.Since(begun), time.Second)
		add(t, db)
	})
	t.Run("a Redis that hangs is waited for no longer than any other", func(t *testing.T) {
		t.Parallel()
		srv := redistest.Start(t)
		db := open(t, redisdb.Config{URL: srv.URL, Timeout: 200 * time.Millisecond})
		srv.Pause()
		defer srv.Resume()
		begun := time.Now()
		require.ErrorIs(t, db.AwaitEntry(t.Context(), "{a}s", "0", 100*time.Millisecond), redisdb.ErrUnavailable)
		require.Less(t, time.Since(begun), 2*time.Second)
	})
	t.Run("in a Cluster it is asked of the server that has the stream, also after it moved", func(t *testing.T) {
		t.Parallel()
		c := redistest.Cluster(t, 3)
		db := open(t, redisdb.Config{Mode: redisdb.Cluster, Addrs: c.Addrs})
		hears(t, db, "$")
		slot := c.Slot("{a}s")
		owner := func() int {
			for i, s := range c.Servers {
				if s.Client().Exists(t.Context(), "{a}s").Err() == nil {
					return i
				}
			}
			return 0
		}()
		from, to := c.Servers[owner], c.Servers[(owner+1)%3]
		c.BeginMove(slot, from, to)
		c.MoveKeys(slot, from, to)
		c.EndMove(slot, from, to)
		require.Eventually(t, func() bool { return db.AwaitEntry(t.Context(), "{a}s", "0", time.Second) == nil }, 5*time.Second, 20*time.Millisecond)
		hears(t, db, "$")
	})
	t.Run("a closed DB ends all waits", func(t *testing.T) {
		t.Parallel()
		db, err := redisdb.Open(redisdb.Config{URL: redistest.Start(t).URL})
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() { ended <- db.AwaitEntry(t.Context(), "{a}s", "0", 5*time.Second) }()
		time.Sleep(50 * time.Millisecond)
		begun := time.Now()
		require.NoError(t, db.Close())
		<-ended
		require.Less(t, time.Since(begun), 2*time.Second)
		require.Error(t, db.AwaitEntry(t.Context(), "{a}s", "0", 5*time.Second))
	})
}
