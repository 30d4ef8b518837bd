package feed_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// stream is what feed.Memory and feed.Redis have in common.
type stream interface {
	Append(ctx context.Context, ends ...feed.End) error
	Read(ctx context.Context, after feed.Position, most int) (*feed.Page, error)
	Await(ctx context.Context, after feed.Position) error
	Enable(ctx context.Context) error
}

func open(t testing.TB, cfg redisdb.Config) *redisdb.DB {
	t.Helper()
	cfg.Prefix = "test:"
	db, err := redisdb.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func end(names ...string) feed.End { return feed.End{Names: names} }

// read returns a page whose ends say no place, so that they can be compared.
func read(t testing.TB, s stream, after feed.Position, most int) *feed.Page {
	t.Helper()
	page := readPlaces(t, s, after, most)
	for i := range page.Ends {
		require.NotEmpty(t, page.Ends[i].At)
		page.Ends[i].At = ""
	}
	return page
}

func readPlaces(t testing.TB, s stream, after feed.Position, most int) *feed.Page {
	t.Helper()
	page, err := s.Read(t.Context(), after, most)
	require.NoError(t, err)
	return page
}

func TestStream(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		one := feed.NewMemory(time.Now)
		testStream(t, one, one)
	})
	for name, start := range map[string]func(t *testing.T) redisdb.Config{
		"single": func(t *testing.T) redisdb.Config { return redisdb.Config{URL: redistest.Start(t).URL} },
		"sentinel": func(t *testing.T) redisdb.Config {
			return redisdb.Config{Mode: redisdb.Sentinel, Addrs: redistest.Sentinel(t).Addrs, Master: redistest.MasterName, WaitReplicas: 1}
		},
		"cluster": func(t *testing.T) redisdb.Config {
			return redisdb.Config{Mode: redisdb.Cluster, Addrs: redistest.Cluster(t, 3).Addrs}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := start(t)
			testStream(t, feed.NewRedis(open(t, cfg)), feed.NewRedis(open(t, cfg)))
		})
	}
}

// testStream has two nodes use one stream.
func testStream(t *testing.T, a, b stream) {
	first := read(t, a, "", 100)
	t.Run("an empty stream has a position, and it stays", func(t *testing.T) {
		require.NotEmpty(t, first.At)
		require.Empty(t, first.Ends)
		require.False(t, first.Reset)
		require.False(t, first.More)
		again := read(t, b, first.At, 100)
		require.Equal(t, first.At, again.At)
		require.False(t, again.Reset)
	})
	t.Run("what one node appends the others read, in this order", func(t *testing.T) {
		require.NoError(t, a.Append(t.Context(), end("n1"), feed.End{Names: []string{"n2", "n3"}, Client: "app"}))
		require.NoError(t, b.Append(t.Context(), feed.End{Client: "other client"}))
		page := read(t, b, first.At, 100)
		require.Equal(t, []feed.End{end("n1"), {Names: []string{"n2", "n3"}, Client: "app"}, {Client: "other client"}}, page.Ends)
		require.NotEqual(t, first.At, page.At)
		rest := read(t, a, page.At, 100)
		require.Empty(t, rest.Ends)
		require.Equal(t, page.At, rest.At)
	})
	t.Run("each end says its place, from which a read goes on", func(t *testing.T) {
		page := readPlaces(t, a, first.At, 100)
		require.Len(t, page.Ends, 3)
		require.Equal(t, page.At, page.Ends[2].At)
		require.Equal(t, page.Ends[1:], readPlaces(t, b, page.Ends[0].At, 100).Ends)
	})
	t.Run("the last entry has a position, without the ends before", func(t *testing.T) {
		last := read(t, b, feed.Last, 100)
		require.Equal(t, read(t, a, "", 100).At, last.At)
		require.Empty(t, last.Ends)
		require.False(t, last.Reset || last.More)
		require.True(t, last.Enabled == read(t, a, "", 100).Enabled)
	})
	t.Run("a page has at most so many ends, and says that there are more", func(t *testing.T) {
		for i := range 5 {
			require.NoError(t, a.Append(t.Context(), end(fmt.Sprint("page", i))))
		}
		var names []string
		at := read(t, a, first.At, 3).At
		for more := true; more; {
			page := read(t, b, at, 2)
			require.LessOrEqual(t, len(page.Ends), 2)
			for _, e := range page.Ends {
				names = append(names, e.Names...)
			}
			at, more = page.At, page.More
		}
		require.Equal(t, []string{"page0", "page1", "page2", "page3", "page4"}, names)
		require.Len(t, read(t, a, "", 100).Ends, 8, "without a position all is read")
	})
	t.Run("a position that was never there is a reset, and the first entry comes again", func(t *testing.T) {
		at := read(t, a, "", 100).At
		for _, unknown := range []feed.Position{at[:len(at)-2] + "xx", "9999999999999-0.AAAAAAAAAAAA", "1-1.AAAAAAAAAAAA", "nonsense", "*", "-.", "1-1."} {
			page := read(t, a, unknown, 3)
			require.True(t, page.Reset, unknown)
			require.Equal(t, end("n1"), page.Ends[0])
			require.True(t, page.More)
			require.False(t, read(t, a, page.At, 100).Reset)
		}
	})
	t.Run("whoever awaits an end hears of it at once", func(t *testing.T) {
		at := read(t, a, "", 100).At
		require.NoError(t, a.Await(t.Context(), ""), "there are entries")
		heard := make(chan time.Duration)
		go func() {
			begun := time.Now()
			for page := (&feed.Page{}); len(page.Ends) == 0; page, _ = b.Read(t.Context(), at, 1) {
				_ = b.Await(t.Context(), at)
			}
			heard <- time.Since(begun)
		}()
		time.Sleep(50 * time.Millisecond) // it waits by now, and whoever did not would hear it all the same
		require.NoError(t, a.Append(t.Context(), end("awaited")))
		require.Less(t, <-heard, 900*time.Millisecond, "Redis blocks for a second")
	})
	t.Run("a wait ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		begun := time.Now()
		_ = b.Await(ctx, read(t, b, "", 100).At)
		require.Less(t, time.Since(begun), 800*time.Millisecond)
	})
	t.Run("it is enabled when somebody says so", func(t *testing.T) {
		require.NoError(t, a.Enable(t.Context()))
		require.True(t, read(t, b, "", 1).Enabled)
	})
}

func TestMemoryRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := feed.NewMemory(time.Now)
		begin := read(t, s, "", 10).At
		require.NoError(t, s.Append(t.Context(), end("old")))
		time.Sleep(feed.Retention - time.Minute)
		require.Len(t, read(t, s, begin, 10).Ends, 1)
		time.Sleep(2 * time.Minute)
		page := read(t, s, begin, 10)
		require.True(t, page.Reset)
		require.Equal(t, []feed.End{end("old")}, page.Ends, "the last entry stays: whoever has read it goes on from there")
		require.NoError(t, s.Append(t.Context(), end("new")))
		require.Equal(t, []feed.End{end("new")}, read(t, s, "", 10).Ends)
	})
}

func TestPosition(t *testing.T) {
	for _, p := range []feed.Position{"", "1764367200123-7.k3XqAAAAAAAA", "0-1.AAAA"} {
		require.True(t, p.Valid(), p)
	}
	for _, p := range []feed.Position{"x", "1-1", "1.AAAA", "01-1.AAAA", "1-1.A", "1-1.", "-1-1.AAAA", "1-99999999999999999999.AAAA", "1-1.AA==", "1-1.AAAA\n"} {
		require.False(t, p.Valid(), p)
	}
}
