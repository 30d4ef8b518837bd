package clients_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis/v8"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

const changeStream = "test:clients:{registry}:feed"

// TestFeedAfterFailover: a primary that lost its tail gives the ids of the lost entries to other
// changes.
func TestFeedAfterFailover(t *testing.T) {
	const base = 99_999_999_999_000 // milliseconds; later than now, so that Redis counts on behind it
	id := func(ms, seq int) string { return fmt.Sprintf("%d-%d", base+ms, seq) }
	srv := redistest.Start(t)
	c, ctx := srv.Client(), t.Context()
	add := func(to redis.Cmdable, at, client, nonce string) {
		args := []any{"XADD", changeStream, at, "id", client}
		if nonce != "" {
			args = append(args, "nonce", nonce)
		}
		to.(interface {
			Do(context.Context, ...any) *redis.Cmd
		}).Do(ctx, args...)
	}
	// begin has a node stand at 1000-5, with "job" in its cache; other changes the client behind
	// the node's back.
	begin := func(t *testing.T) (n *registry, other *clients.Manager) {
		require.NoError(t, c.FlushAll(ctx).Err())
		other = &clients.Manager{Redis: clients.NewRedis(open(t, srv.URL)), Catalogue: catalogue(t), MaxTTL: time.Hour}
		require.NoError(t, other.Create(ctx, machine("job")))
		require.NoError(t, c.Del(ctx, changeStream).Err())
		add(c, id(999, 0), "x", "first")
		for seq := range 6 {
			add(c, id(1000, seq), "x", fmt.Sprint("old", seq))
		}
		n = node(t, srv.URL)
		_, err := n.live.Get(ctx, "job")
		require.NoError(t, err)
		return n, other
	}
	// behind puts another primary in the place of this one, in one step: the client is changed, and
	// the feed is what write writes.
	behind := func(t *testing.T, write func(redis.Pipeliner)) {
		var shard, text string
		for _, key := range c.Keys(ctx, "test:clients:{registry}:??").Val() {
			if held, err := c.HGet(ctx, key, "job").Result(); err == nil {
				shard, text = key, held
			}
		}
		text = strings.Replace(text, `"client_id":"job"`, `"client_id":"job","client_name":"changed"`, 1)
		_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HSet(ctx, shard, "job", text)
			p.Del(ctx, changeStream)
			write(p)
			return nil
		})
		require.NoError(t, err)
	}
	sees := func(t *testing.T, n *registry) {
		soon(t, func() bool { got, err := n.live.Get(ctx, "job"); return err == nil && got.Name == "changed" })
	}
	t.Run("S-23 ids come again: the new primary stood at 999-0 and has written up to 1001-0, of which 1000-5 is another entry", func(t *testing.T) {
		n, _ := begin(t)
		behind(t, func(p redis.Pipeliner) {
			add(p, id(999, 0), "x", "first")
			add(p, id(1000, 0), "job", "new0")
			for seq := 1; seq < 6; seq++ {
				add(p, id(1000, seq), "x", fmt.Sprint("new", seq))
			}
			add(p, id(1001, 0), "x", "new6")
		})
		sees(t, n)
	})
	t.Run("the new primary has written nothing at the node's position", func(t *testing.T) {
		n, _ := begin(t)
		behind(t, func(p redis.Pipeliner) { add(p, id(999, 0), "x", "first"); add(p, id(1001, 0), "x", "new") })
		sees(t, n)
	})
	t.Run("entries of an older version have no nonce: the node goes on, and stands on one that has", func(t *testing.T) {
		n, other := begin(t)
		behind(t, func(p redis.Pipeliner) { add(p, id(1000, 9), "x", ""); add(p, id(1000, 10), "job", "") })
		sees(t, n)
		soon(t, func() bool {
			last := c.XRevRangeN(ctx, changeStream, "+", "-", 1).Val()
			return len(last) == 1 && last[0].Values["nonce"] != nil
		})
		add(c, "*", "job", "")
		_, err := other.Update(ctx, "job", func(s *clients.Stored) error { s.Name = "again"; return nil })
		require.NoError(t, err)
		soon(t, func() bool { got, err := n.live.Get(ctx, "job"); return err == nil && got.Name == "again" })
	})
	t.Run("every entry has a nonce, and reading adds none to them", func(t *testing.T) {
		n, other := begin(t)
		require.NoError(t, other.Delete(ctx, "job"))
		soon(t, func() bool { _, err := n.live.Get(ctx, "job"); return err != nil })
		for range 3 {
			require.NoError(t, n.live.ReadChanges(ctx))
		}
		seen := map[any]bool{}
		list := c.XRange(ctx, changeStream, "-", "+").Val()
		for _, e := range list {
			seen[e.Values["nonce"]] = true
		}
		require.Len(t, seen, len(list))
		require.Len(t, list, 8)
	})
}

// TestFeedWithFailover plays it with a real one: the replica did not have the last changes, and the
// Sentinels promote it.
func TestFeedWithFailover(t *testing.T) {
	s := redistest.Sentinel(t)
	ctx := t.Context()
	n := nodeOf(t, s)
	other := nodeOf(t, s).manager
	require.NoError(t, other.Create(ctx, machine("job")))
	soon(t, func() bool { _, err := n.live.Get(ctx, "job"); return err == nil })
	old := s.Primary()
	var replica *redistest.Server
	for _, server := range s.Servers {
		if server != old {
			replica = server
		}
	}
	require.NoError(t, replica.Client().ConfigSet(ctx, "masterauth", "wrong").Err())
	require.NoError(t, old.Client().Do(ctx, "acl", "setuser", "default", "-psync", "-sync", "-replconf").Err())
	require.NoError(t, old.Client().Do(ctx, "client", "kill", "type", "replica").Err())
	for i := range 5 { // the replica has none of these
		_, err := other.Update(ctx, "job", func(s *clients.Stored) error { s.Name = fmt.Sprint("lost ", i); return nil })
		if err != nil {
			require.ErrorIs(t, err, clients.ErrNotConfirmed)
		}
	}
	soon(t, func() bool { got, err := n.live.Get(ctx, "job"); return err == nil && got.Name == "lost 4" })
	old.Stop()
	s.AwaitPrimary(old)
	soon(t, func() bool { got, err := n.live.Get(ctx, "job"); return err == nil && got.Name == "" })
	soon(t, func() bool {
		_, err := other.Update(ctx, "job", func(s *clients.Stored) error { s.Name = "new"; return nil })
		return err == nil
	})
	soon(t, func() bool { got, err := n.live.Get(ctx, "job"); return err == nil && got.Name == "new" })
}
