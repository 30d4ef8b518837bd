package tokens_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// clusterOf is a Cluster with the server that has the feed.
type clusterOf struct {
	*redistest.Nodes
	stream *redistest.Server
}

func startCluster(t *testing.T) clusterOf {
	t.Helper()
	c := clusterOf{Nodes: redistest.Cluster(t, 3)}
	c.stream = c.ownerOf(t, feed.StreamKey)
	return c
}

// ownerOf returns the server that has a key.
func (c clusterOf) ownerOf(t *testing.T, key string) *redistest.Server {
	t.Helper()
	i := slices.IndexFunc(c.Servers, func(s *redistest.Server) bool { return s.Client().Exists(t.Context(), key).Err() == nil })
	require.GreaterOrEqual(t, i, 0)
	return c.Servers[i]
}

func (c clusterOf) node(t *testing.T) *tokens.Redis {
	t.Helper()
	db, err := redisdb.Open(redisdb.Config{Mode: redisdb.Cluster, Addrs: c.Addrs})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return tokens.NewRedis(db)
}

// elsewhere issues client tokens until one lies on another server than the feed.
func (c clusterOf) elsewhere(t *testing.T, s tokens.Store) tokens.Token {
	t.Helper()
	codec := tokens.NewCodec(tokens.NewServerKey())
	for {
		_, tok := codec.NewClientAccess()
		require.NoError(t, s.Issue(t.Context(), tok, &tokens.Record{ClientID: "app", IssuedAt: time.Now(), TTL: time.Hour}))
		if c.ownerOf(t, "t:"+string(tok.Hash[:16])) != c.stream {
			return tok
		}
	}
}

func namesIn(t *testing.T, s tokens.Store) (list []string) {
	t.Helper()
	page, err := s.Feed().Read(t.Context(), "", 1000)
	require.NoError(t, err)
	require.False(t, page.More)
	for _, e := range page.Ends {
		list = append(list, e.Names...)
	}
	return list
}

func active(t *testing.T, s tokens.Store, tok tokens.Token) bool {
	t.Helper()
	_, err := s.Load(t.Context(), tok)
	require.True(t, err == nil || errors.Is(err, tokens.ErrNotFound), err)
	return err == nil
}

// requireNotDone: the error says that the end was not made, and may be asked for again.
func requireNotDone(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, redisdb.ErrUnavailable)
	_, known := errors.AsType[interface {
		error
		NotConfirmed()
	}](err)
	require.False(t, known, "it does not say that the end was made")
	_, known = errors.AsType[interface {
		error
		OutcomeUnknown()
	}](err)
	require.False(t, known, "nor that nobody knows")
}

// TestClusterAppendsFirst: the feed is on another server than what ends.
func TestClusterAppendsFirst(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	a, b := c.node(t), c.node(t)
	ctx := t.Context()
	tok := c.elsewhere(t, a)
	deny := func(n string) { require.NoError(t, c.stream.Client().ConfigSet(ctx, "min-replicas-to-write", n).Err()) }
	t.Run("S-23 without the append nothing ends, and the error says so", func(t *testing.T) {
		deny("1")
		ended, err := a.Revoke(ctx, tok, "app")
		requireNotDone(t, err)
		require.False(t, ended)
		require.True(t, active(t, b, tok))
		require.Empty(t, namesIn(t, b))
	})
	t.Run("S-23 the repetition at another node appends and ends", func(t *testing.T) {
		deny("0")
		ended, err := b.Revoke(ctx, tok, "app")
		require.NoError(t, err)
		require.True(t, ended)
		require.False(t, active(t, a, tok))
		require.Equal(t, []string{tok.Name()}, namesIn(t, a))
		ended, err = a.Revoke(ctx, tok, "app")
		require.NoError(t, err)
		require.False(t, ended)
	})
	t.Run("S-23 so it is while the feed's server is away, with every way to end", func(t *testing.T) {
		tok := c.elsewhere(t, a)
		c.stream.Stop()
		for range 3 {
			_, err := a.Revoke(ctx, tok, "app")
			requireNotDone(t, err)
		}
		c.stream.Restart()
		require.Eventually(t, func() bool { _, err := b.Revoke(ctx, tok, "app"); return err == nil }, 10*time.Second, 50*time.Millisecond)
		require.Contains(t, namesIn(t, b), tok.Name())
		require.False(t, active(t, b, tok))
	})
}

// TestClusterUnconfirmedAppend: the feed's server has the name, and no replica does.
func TestClusterUnconfirmedAppend(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	replica := c.AddReplica(c.stream)
	db, err := redisdb.Open(redisdb.Config{Mode: redisdb.Cluster, Addrs: c.Addrs, WaitReplicas: 1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	s := tokens.NewPending(tokens.NewRedis(db))
	tok := c.elsewhere(t, s)
	replica.Pause()
	resume := replica.Resume
	defer func() { resume() }()
	_, err = s.Revoke(t.Context(), tok, "app")
	requireNotDone(t, err)
	require.True(t, active(t, s, tok), "a failover could lose the name, and a repetition would find nothing to end")

	resume()
	resume = func() {}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.Run(ctx)
	require.Eventually(t, func() bool { return s.Len() == 0 }, 20*time.Second, 50*time.Millisecond, "the node repeats it by itself")
	require.False(t, active(t, s, tok))
	require.Contains(t, namesIn(t, s), tok.Name())
}
