package redisdb_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

const within = 2 * time.Second

// cutOff parts a primary from its replicas, from all but the user "lonely", and the Sentinels from
// that user.
func cutOff(t *testing.T, s *redistest.Sentinels, primary *redistest.Server) {
	t.Helper()
	do := func(on *redistest.Server, args ...any) {
		require.NoError(t, on.Client().Do(t.Context(), args...).Err())
	}
	do(primary, "acl", "setuser", "default", "-@all", "+acl", "+client|kill")
	do(primary, "client", "kill", "type", "replica")
	do(primary, "acl", "setuser", "default", "-client|kill")
	for _, watcher := range s.Sentinels {
		do(watcher, "acl", "setuser", "lonely", "off")
		do(watcher, "client", "kill", "user", "lonely")
	}
}

// patient makes the Sentinels wait for 3 s before they call a server down: on a busy machine half a
// second is nothing.
func patient(t *testing.T, s *redistest.Sentinels) {
	t.Helper()
	for _, watcher := range s.Sentinels {
		require.NoError(t, watcher.Client().Do(t.Context(), "sentinel", "set", redistest.MasterName, "down-after-milliseconds", "3000").Err())
	}
}

func sentinels(t *testing.T) (*redistest.Sentinels, redisdb.Config) {
	t.Helper()
	s := redistest.Sentinel(t)
	for _, one := range append(s.Servers, s.Sentinels...) {
		require.NoError(t, one.Client().Do(t.Context(), "acl", "setuser", "lonely", "on", ">lonely", "~*", "&*", "+@all").Err())
	}
	patient(t, s)
	return s, redisdb.Config{Mode: redisdb.Sentinel, Addrs: s.Addrs, Master: redistest.MasterName, WaitReplicas: 1,
		Username: "lonely", Password: "lonely", SentinelUsername: "lonely", SentinelPassword: "lonely"}
}

func TestFresh(t *testing.T) {
	t.Parallel()
	beats := func(t *testing.T, cfg redisdb.Config) *redisdb.Beat {
		b := redisdb.NewBeat(open(t, cfg))
		require.Error(t, b.Fresh(within), "before the first beat")
		require.NoError(t, b.Once(t.Context()))
		require.NoError(t, b.Once(t.Context()))
		require.NoError(t, b.Fresh(within))
		return b
	}
	t.Run("S-23 beside a primary that was cut off a node that reads is not fresh, though it is answered", func(t *testing.T) {
		t.Parallel()
		s, cfg := sentinels(t)
		b, db := beats(t, cfg), open(t, cfg)
		_, err := db.Get(t.Context(), "k")
		require.ErrorIs(t, err, redisdb.ErrNil)
		old := s.Primary()
		cutOff(t, s, old)
		require.ErrorIs(t, b.Once(t.Context()), redisdb.ErrUnavailable)
		require.WithinDuration(t, time.Now(), b.Confirmed(), 5*time.Second, "its writes are taken")
		require.Error(t, b.Fresh(0))
		require.ErrorContains(t, b.Fresh(0), "it is not known whether "+old.Addr+" is still the primary")
		_, err = db.Get(t.Context(), "k")
		require.ErrorIs(t, err, redisdb.ErrNil, "reading alone says nothing")
		s.AwaitPrimary(old)
		require.Error(t, b.Once(t.Context()))

		late := redisdb.NewBeat(open(t, redisdb.Config{URL: "redis://" + old.Addr, Username: "lonely", Password: "lonely"}))
		require.NoError(t, late.Once(t.Context()), "one Redis alone has no successor")
	})
	t.Run("S-20 a replica that is lost takes no node out of service", func(t *testing.T) {
		t.Parallel()
		s, cfg := sentinels(t)
		b := beats(t, cfg)
		for _, one := range s.Servers {
			if one != s.Primary() {
				one.Stop()
			}
		}
		for range 3 {
			require.NoError(t, b.Once(t.Context()), "the Sentinels name it")
		}
		require.NoError(t, b.Fresh(within))
		t.Run("nor do Sentinels of which a minority is lost", func(t *testing.T) {
			s.Sentinels[0].Stop()
			require.NoError(t, b.Once(t.Context()))
			s.Sentinels[1].Stop()
			require.Error(t, b.Once(t.Context()), "the majority is none any more: a third Sentinel proves nothing")
		})
	})
	t.Run("S-20 nor do lost Sentinels, as long as all replicas confirm", func(t *testing.T) {
		t.Parallel()
		s, cfg := sentinels(t)
		b := beats(t, cfg)
		for _, one := range s.Sentinels {
			one.Stop()
		}
		require.NoError(t, b.Once(t.Context()))
	})
	t.Run("S-23 one of two replicas confirms, and the other may have been promoted: that is no proof", func(t *testing.T) {
		t.Parallel()
		s, cfg := sentinels(t)
		primary := s.Primary()
		second := primary.AddReplica()
		db := open(t, cfg)
		b := redisdb.NewBeat(db)
		require.Eventually(t, func() bool { return b.Once(t.Context()) == nil && db.Stats().ReplicasSeen == 2 }, 10*time.Second, 100*time.Millisecond)
		for _, one := range s.Sentinels {
			one.Stop()
		}
		require.NoError(t, b.Once(t.Context()), "both confirm")
		second.Stop()
		require.Error(t, b.Once(t.Context()))
	})
	t.Run("the Sentinels that the configuration does not name count too", func(t *testing.T) {
		t.Parallel()
		s, cfg := sentinels(t)
		cfg.Addrs = cfg.Addrs[:1]
		b := beats(t, cfg)
		for _, one := range s.Servers {
			if one != s.Primary() {
				one.Stop()
			}
		}
		require.NoError(t, b.Once(t.Context()), "one is named, and three are asked")
		cutOff(t, s, s.Primary())
		require.Error(t, b.Once(t.Context()))
	})
	t.Run("S-21 a Redis that takes no writes by its own state is the primary still", func(t *testing.T) {
		t.Parallel()
		s, cfg := sentinels(t)
		alone := redistest.Start(t)
		for _, b := range []*redisdb.Beat{beats(t, cfg), beats(t, redisdb.Config{URL: alone.URL})} {
			for _, srv := range []*redistest.Server{s.Primary(), alone} {
				require.NoError(t, srv.Client().ConfigSet(t.Context(), "min-replicas-to-write", "2").Err())
			}
			require.ErrorContains(t, b.Once(t.Context()), "NOREPLICAS")
			require.Eventually(t, func() bool { return b.Once(t.Context()) != nil && b.Fresh(400*time.Millisecond) == nil }, 5*time.Second, 200*time.Millisecond)
		}
		cutOff(t, s, s.Primary())
		b := redisdb.NewBeat(open(t, cfg))
		_ = b.Once(t.Context())
		require.Error(t, b.Fresh(within))
	})
	t.Run("Run beats until it is told to end", func(t *testing.T) {
		t.Parallel()
		srv := redistest.Start(t)
		b := redisdb.NewBeat(open(t, redisdb.Config{URL: srv.URL}))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { b.Run(ctx); close(done) }()
		require.Eventually(t, func() bool { return b.Fresh(within) == nil }, 5*time.Second, 5*time.Millisecond)
		cancel()
		<-done
		require.True(t, strings.HasPrefix(srv.Client().HGet(t.Context(), "beat:{registry}", "at").Val(), "1"))
	})
}

func TestFreshInACluster(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t, 3)
	b := redisdb.NewBeat(open(t, redisdb.Config{Mode: redisdb.Cluster, Addrs: c.Addrs[:1], WaitReplicas: 1}))
	require.NoError(t, b.Once(t.Context()))
	require.NoError(t, b.Fresh(within))
	slot := c.Slot("{registry}")
	t.Run("S-24 the primary of the registry is gone: the other slots are proven still", func(t *testing.T) {
		for _, one := range c.Servers {
			if one.Client().ClusterCountKeysInSlot(t.Context(), slot).Val() > 0 {
				one.Stop()
				break
			}
		}
		require.Error(t, b.Once(t.Context()))
		require.NoError(t, b.Fresh(0))
	})
}
