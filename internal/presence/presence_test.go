package presence_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/presence"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func TestNodes(t *testing.T) {
	srv := redistest.Start(t)
	db, err := redisdb.Open(redisdb.Config{URL: srv.URL, Prefix: "test:"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	ctx, stop := context.WithCancel(t.Context())
	var both sync.WaitGroup
	for _, id := range []string{"a", "b"} {
		both.Go(func() {
			presence.Run(ctx, db, slog.New(slog.DiscardHandler), func() presence.Node {
				return presence.Node{ID: id, Host: "host-" + id, Version: "v1", NotReady: "a \"reason\"\nin two lines"}
			})
		})
	}
	list := func() []presence.Node {
		found, err := presence.List(t.Context(), db)
		require.NoError(t, err)
		return found
	}
	require.Eventually(t, func() bool { return len(list()) == 2 }, 5*time.Second, 10*time.Millisecond)
	found := list()
	require.Equal(t, []string{"host-a", "host-b"}, []string{found[0].Host, found[1].Host})
	require.Equal(t, "a \"reason\"\nin two lines", found[0].NotReady)
	require.False(t, found[0].Late())
	require.Positive(t, srv.Client().PTTL(t.Context(), "test:nodes").Val(), "the list has a lifetime")

	t.Run("a node that is silent is late, and then gone", func(t *testing.T) {
		require.NoError(t, srv.Client().HSet(t.Context(), "test:nodes", "c", `1000 {"id":"c","host":"host-c"}`, "d", "unreadable").Err())
		found := list()
		require.Len(t, found, 3)
		require.True(t, found[2].Late())
		require.Eventually(t, func() bool { return len(list()) == 2 }, 15*time.Second, 50*time.Millisecond, "others remove it")
	})
	t.Run("nodes of other versions are readable", func(t *testing.T) {
		c, now := srv.Client(), fmt.Sprint(time.Now().UnixMilli())
		require.NoError(t, c.HSet(t.Context(), "test:nodes", "older", now+` {"id":"older","host":"z-1","version":"v0"}`,
			"newer", now+` {"id":"newer","host":"z-2","config":"0123456789ab","up":7.5,"a_member_of_the_future":{"x":[1]}}`).Err())
		found := list()
		require.Len(t, found, 4)
		require.Equal(t, []string{"", "0123456789ab"}, []string{found[2].Config, found[3].Config})
		require.Equal(t, []float64{0, 7.5}, []float64{found[2].Up, found[3].Up})
		require.NoError(t, c.HDel(t.Context(), "test:nodes", "older", "newer").Err())
	})
	stop()
	both.Wait()
	require.Empty(t, list(), "who stops takes itself away")
}
