package redistest_test

import (
	"net"
	"testing"

	"github.com/go-redis/redis/v8"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func TestServer(t *testing.T) {
	s := redistest.New(t, redistest.Options{AppendOnly: true, Socket: true})
	c, ctx := s.Client(), t.Context()
	require.NoError(t, c.Set(ctx, "k", "v", 0).Err())
	s.Pause()
	conn, err := net.Dial("tcp", s.Addr)
	require.NoError(t, err, "a paused server still has its port")
	require.NoError(t, conn.Close())
	s.Resume()
	require.Equal(t, "v", c.Get(ctx, "k").Val())
	s.Stop()
	s.Stop()
	require.Error(t, s.Client().Ping(ctx).Err())
	s.Restart()
	require.Equal(t, "v", s.Client().Get(ctx, "k").Val(), "AppendOnly outlives a crash")
	unix := redis.NewClient(&redis.Options{Network: "unix", Addr: s.Socket})
	defer unix.Close()
	require.Equal(t, "v", unix.Get(ctx, "k").Val())
}

func TestServerTLS(t *testing.T) {
	s := redistest.New(t, redistest.Options{TLS: true})
	require.NoError(t, s.Client().Ping(t.Context()).Err())
}

func TestSentinel(t *testing.T) {
	s := redistest.Sentinel(t)
	old := s.KillPrimary()
	now := s.AwaitPrimary(old)
	require.NoError(t, now.Client().Set(t.Context(), "k", "v", 0).Err())
}

func TestCluster(t *testing.T) {
	c := redistest.Cluster(t, 3)
	r := c.AddReplica(c.Servers[0])
	require.Len(t, c.Servers, 4)
	require.Equal(t, "slave", r.Client().Do(t.Context(), "role").Val().([]any)[0])
	require.Equal(t, 12182, c.Slot("foo"))
	holder := c.Servers[2]
	require.NoError(t, holder.Client().Set(t.Context(), "foo", "bar", 0).Err())
	c.BeginMove(12182, holder, c.Servers[0])
	c.MoveKeys(12182, holder, c.Servers[0])
	require.ErrorContains(t, holder.Client().Get(t.Context(), "foo").Err(), "ASK 12182")
	c.EndMove(12182, holder, c.Servers[0])
	require.ErrorContains(t, holder.Client().Get(t.Context(), "foo").Err(), "MOVED 12182")
	require.Equal(t, "bar", c.Servers[0].Client().Get(t.Context(), "foo").Val())
}
