package clients_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// far opens a Redis whose every answer takes a millisecond.
func far(t *testing.T, srv *redistest.Server) (*redisdb.DB, *redistest.Slow) {
	slow := redistest.NewSlow(t, srv.Addr, time.Millisecond)
	db, err := redisdb.Open(redisdb.Config{URL: "redis://" + slow.Addr, Prefix: "test:"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db, slow
}

func TestHousekeeping(t *testing.T) {
	t.Run("S-20 a node that tells of 5,000 used secrets, with Redis 1 ms away, goes on confirming what it knows", func(t *testing.T) {
		const n = 5_000
		srv := redistest.Start(t)
		near := clients.NewRedis(openNear(t, srv))
		each(n, func(id string) error { return near.Create(t.Context(), machine(id)) })(t)

		db, slow := far(t, srv)
		static, err := clients.NewConfigured(t.Context(), nil, tokens.NewRedis(db))
		require.NoError(t, err)
		live, err := clients.NewCached(t.Context(), static, clients.NewRedis(db), 0)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go live.Run(ctx, slog.New(slog.DiscardHandler))
		each(n, func(id string) error {
			c, err := live.Get(t.Context(), id)
			if err == nil {
				c.Used()
			}
			return err
		})(t)

		before := slow.Answers.Load()
		for range (n + clients.TellMost - 1) / clients.TellMost {
			require.NoError(t, live.Tell(t.Context()))
			require.NoError(t, live.Fresh())
		}
		require.Less(t, slow.Answers.Load()-before, int64(n/20), "pipelines, not one SET for each secret")
		for _, id := range []string{idOf(0), idOf(n / 2), idOf(n - 1)} {
			at, err := near.LastUsed(t.Context(), id, clients.HashSecret("secret of "+id))
			require.NoError(t, err)
			require.False(t, at.IsZero(), id)
		}
	})
	t.Run("S-20 4,000 clients of config.toml cost a start and each renewal a few round trips", func(t *testing.T) {
		const n = 4_000
		srv := redistest.Start(t)
		db, slow := far(t, srv)
		list := make([]*clients.Client, n)
		for i := range list {
			list[i] = &clients.Client{Registration: clients.Registration{ID: idOf(i)}}
		}
		static, err := clients.NewConfigured(t.Context(), list, tokens.NewRedis(db))
		require.NoError(t, err)
		require.NoError(t, static.Keep(t.Context()))
		require.Less(t, slow.Answers.Load(), int64(n/20))
		require.NoError(t, static.Fresh())
		keys, err := srv.Client().DBSize(t.Context()).Result()
		require.NoError(t, err)
		require.EqualValues(t, n, keys)
	})
}

func idOf(i int) string { return fmt.Sprintf("client-%05d", i) }

func openNear(t *testing.T, srv *redistest.Server) *redisdb.DB {
	db, err := redisdb.Open(redisdb.Config{URL: srv.URL, Prefix: "test:"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// each calls f for n ids, 64 at a time.
func each(n int, f func(id string) error) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		var wg sync.WaitGroup
		for w := range 64 {
			wg.Go(func() {
				for i := w; i < n; i += 64 {
					if err := f(idOf(i)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		require.False(t, t.Failed())
	}
}
