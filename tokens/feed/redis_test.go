package feed_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-redis/redis/v8"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens/feed"
)

const streamKey = "test:" + feed.StreamKey

// entries returns the numbers of all entries.
func entries(t *testing.T, on *redistest.Server) (list []string) {
	t.Helper()
	for _, m := range on.Client().XRange(t.Context(), streamKey, "-", "+").Val() {
		list = append(list, m.ID)
	}
	return list
}

// addAt writes an entry of a time, with a nonce of its own.
func addAt(t *testing.T, on *redistest.Server, at time.Time, name string) {
	t.Helper()
	require.NoError(t, on.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: streamKey, ID: fmt.Sprintf("%d-0", at.UnixMilli()),
		Values: []any{"nonce", feed.Nonce(), "names", name, "client", ""}}).Err())
}

func TestRedisRetention(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := feed.NewRedis(open(t, redisdb.Config{URL: srv.URL}))
	old := time.Now().Add(-feed.Retention)
	for i, at := range []time.Time{old.Add(-time.Hour), old.Add(-time.Minute), old.Add(-time.Second)} {
		addAt(t, srv, at, fmt.Sprint("old", i))
	}
	page := read(t, s, "", 10)
	require.Equal(t, []feed.End{end("old2")}, page.Ends, "all is older than Retention; the last entry stays")
	require.Len(t, entries(t, srv), 1)
	require.False(t, read(t, s, page.At, 10).Reset, "whoever has read it goes on from there")

	addAt(t, srv, old.Add(time.Minute), "young")
	require.Equal(t, []feed.End{end("young")}, read(t, s, "", 10).Ends)
	require.True(t, read(t, s, page.At, 10).Reset, "its entry was trimmed away")

	t.Run("an append lets go of blocks that are too old, also where nobody reads", func(t *testing.T) {
		srv := redistest.Start(t)
		s := feed.NewRedis(open(t, redisdb.Config{URL: srv.URL}))
		for i := range 1000 {
			addAt(t, srv, old.Add(-time.Hour+time.Duration(i)*time.Millisecond), "old")
		}
		require.Eventually(t, func() bool {
			require.NoError(t, s.Append(t.Context(), end("new")))
			return len(entries(t, srv)) < 900
		}, 10*time.Second, time.Millisecond, "one time in many")
		require.Greater(t, len(entries(t, srv)), 1)
		ttl := srv.Client().PTTL(t.Context(), streamKey).Val()
		require.Greater(t, ttl, 2*feed.Retention)
	})
}

// TestLostStream: somebody deletes the stream with ends in it that not every verifier has heard of.
func TestLostStream(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := feed.NewRedis(open(t, redisdb.Config{URL: srv.URL}))
	lose := func() { require.NoError(t, srv.Client().Del(t.Context(), streamKey).Err()) }
	t.Run("a feed that is enabled for the first time begins with no end", func(t *testing.T) {
		require.NoError(t, s.Enable(t.Context()))
		require.Empty(t, read(t, s, "", 10).Ends)
		require.NoError(t, s.Append(t.Context(), end("a")))
		require.NoError(t, s.Enable(t.Context()))
		require.Equal(t, []feed.End{end("a")}, read(t, s, "", 10).Ends)
	})
	t.Run("after a loss it begins with the name of ends that nobody can tell, whether an end or a read begins it", func(t *testing.T) {
		at := read(t, s, "", 10).At
		for range 20 { // the nonce decides how an end is appended
			lose()
			require.NoError(t, s.Append(t.Context(), end("b")))
			page := read(t, s, at, 10)
			require.True(t, page.Reset)
			require.Equal(t, []feed.End{end(feed.Nameless), end("b")}, page.Ends)
			at = page.At
		}
		lose()
		require.Equal(t, []feed.End{end(feed.Nameless)}, read(t, s, "", 10).Ends)
	})
	t.Run("a feed that is not enabled tells nobody anything", func(t *testing.T) {
		require.NoError(t, srv.Client().FlushAll(t.Context()).Err())
		require.NoError(t, s.Append(t.Context(), end("c")))
		page := read(t, s, "", 10)
		require.Equal(t, []feed.End{end("c")}, page.Ends)
		require.False(t, page.Enabled)
	})
}

// TestNonce: after a failover ids can come again. A position is known by its nonce.
func TestNonce(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := feed.NewRedis(open(t, redisdb.Config{URL: srv.URL}))
	begin := read(t, s, "", 10).At
	require.NoError(t, s.Append(t.Context(), end("seen, and then lost")))
	at := read(t, s, begin, 10).At
	ids := entries(t, srv)
	lost := ids[len(ids)-1]
	require.NoError(t, srv.Client().XDel(t.Context(), streamKey, lost).Err())
	t.Run("an entry that is not there is a reset", func(t *testing.T) {
		page := read(t, s, at, 10)
		require.True(t, page.Reset)
		require.Empty(t, page.Ends)
	})
	t.Run("ends that somebody trimmed away ended nobody knows what", func(t *testing.T) {
		srv := redistest.Start(t)
		s := feed.NewRedis(open(t, redisdb.Config{URL: srv.URL}))
		begin := read(t, s, "", 10).At
		require.NoError(t, s.Append(t.Context(), end("trimmed"), end("last")))
		require.NoError(t, srv.Client().XTrimMaxLen(t.Context(), streamKey, 1).Err())
		page := read(t, s, begin, 10)
		require.True(t, page.Reset)
		require.Equal(t, []feed.End{end(feed.Nameless), end("last")}, page.Ends)
		require.Equal(t, []feed.End{end("last")}, read(t, s, "", 10).Ends)
	})
	t.Run("so is another one that has its id", func(t *testing.T) {
		whole := srv.Client().XRange(t.Context(), streamKey, "-", "+").Val()
		require.NoError(t, srv.Client().Del(t.Context(), streamKey).Err()) // XADD takes no id again in the same stream
		for _, m := range append(whole, redis.XMessage{ID: lost, Values: map[string]any{"nonce": string(feed.Nonce()), "names": "another", "client": ""}}) {
			require.NoError(t, srv.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: streamKey, ID: m.ID, Values: m.Values}).Err())
		}
		page := read(t, s, at, 10)
		require.True(t, page.Reset)
		require.Equal(t, []feed.End{end("another")}, page.Ends)
		require.False(t, read(t, s, begin, 10).Reset, "what was not lost is known")
	})
}

// TestFullRedis: revoking must work when Redis takes nothing else, and so must following.
func TestFullRedis(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	db := open(t, redisdb.Config{URL: srv.URL})
	s := feed.NewRedis(db)
	require.NoError(t, srv.Client().ConfigSet(t.Context(), "maxmemory", "1").Err())
	require.True(t, redisdb.OnlyReads(db.Set(t.Context(), "k", nil, time.Minute)), "it is full")
	at := read(t, s, "", 10)
	require.NotEmpty(t, at.At, "an empty stream is begun")
	require.NoError(t, s.Append(t.Context(), end("n")))
	require.Equal(t, []feed.End{end("n")}, read(t, s, at.At, 10).Ends)
	require.NoError(t, s.Enable(t.Context()))
	require.True(t, read(t, s, "", 10).Enabled)
}

// TestOnlyReads: a Redis that takes no writes for want of replicas is read all the same.
func TestOnlyReads(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	db := open(t, redisdb.Config{URL: srv.URL})
	s := feed.NewRedis(db)
	require.NoError(t, srv.Client().ConfigSet(t.Context(), "min-replicas-to-write", "1").Err())
	require.True(t, redisdb.OnlyReads(s.Append(t.Context(), end("n"))))
	empty := read(t, s, "", 10)
	require.Equal(t, feed.Page{}, *empty, "nothing was ever written")
	require.True(t, read(t, s, "1-1.AAAA", 10).Reset)

	require.NoError(t, srv.Client().ConfigSet(t.Context(), "min-replicas-to-write", "0").Err())
	require.NoError(t, s.Append(t.Context(), end("n")))
	require.NoError(t, srv.Client().ConfigSet(t.Context(), "min-replicas-to-write", "1").Err())
	page := read(t, s, "", 10)
	require.Equal(t, []feed.End{end("n")}, page.Ends)
	require.Equal(t, page.At, read(t, s, page.At, 10).At)
}

func TestRedisAway(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := feed.NewRedis(open(t, redisdb.Config{URL: srv.URL}))
	at := read(t, s, "", 10).At
	srv.Stop()
	_, err := s.Read(t.Context(), at, 10)
	require.ErrorIs(t, err, redisdb.ErrUnavailable)
	begun := time.Now()
	require.Error(t, s.Await(t.Context(), at))
	require.Greater(t, time.Since(begun), 90*time.Millisecond, "it makes a pause: whoever asks again makes no busy loop")
	srv.Restart()
	require.NotEmpty(t, read(t, s, at, 10).At, "the connection that broke is another one at once")
}
