package redisdb_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func TestOpenRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	addrs := []string{"127.0.0.1:1"}
	for name, c := range map[string]struct {
		cfg  redisdb.Config
		want string
	}{
		"an unknown mode":              {redisdb.Config{Mode: "many"}, "mode"},
		"no URL":                       {redisdb.Config{}, "url"},
		"another URL":                  {redisdb.Config{URL: "http://u:hush@h"}, "url"},
		"a URL with odd options":       {redisdb.Config{URL: "redis://u:hush@h?pool=9"}, "url"},
		"a URL that is none":           {redisdb.Config{URL: "redis://u:hush@h:port\x7f"}, "url"},
		"Sentinel without addresses":   {redisdb.Config{Mode: redisdb.Sentinel, Master: "m"}, "addrs"},
		"Sentinel without a name":      {redisdb.Config{Mode: redisdb.Sentinel, Addrs: addrs}, "master"},
		"a Cluster without addresses":  {redisdb.Config{Mode: redisdb.Cluster}, "addrs"},
		"a Cluster with a database":    {redisdb.Config{Mode: redisdb.Cluster, Addrs: addrs, DB: 1}, "db"},
		"a user without a password":    {redisdb.Config{Mode: redisdb.Cluster, Addrs: addrs, Username: "u"}, "password"},
		"a URL's user without one":     {redisdb.Config{URL: "redis://u@h"}, "password"},
		"a Sentinel user without one":  {redisdb.Config{Mode: redisdb.Sentinel, Addrs: addrs, Master: "m", SentinelUsername: "u"}, "password"},
		"a negative time":              {redisdb.Config{URL: "redis://h", Timeout: -1}, "negative"},
		"a CA file that is not there":  {redisdb.Config{URL: "rediss://h", CAFile: empty + "x"}, "ca_file"},
		"a CA file without any":        {redisdb.Config{URL: "rediss://h", CAFile: empty}, "ca_file"},
		"TLS through a unix socket":    {redisdb.Config{URL: "unix:///tmp/redis.sock", TLS: true}, "unix"},
		"braces in the keys' prefix":   {redisdb.Config{URL: "redis://h", Prefix: "{g}:"}, "prefix"},
		"replicas of less than nobody": {redisdb.Config{URL: "redis://h", WaitReplicas: -1}, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := redisdb.Open(c.cfg)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hush")
		})
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	works := func(t *testing.T, cfg redisdb.Config) *redisdb.DB {
		t.Helper()
		cfg.Prefix = "grantor:"
		db := open(t, cfg)
		require.NoError(t, db.Set(t.Context(), "k", []byte("v"), time.Minute))
		v, err := db.Get(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "v", string(v))
		return db
	}
	t.Run("unix socket, database", func(t *testing.T) {
		s := redistest.New(t, redistest.Options{Socket: true})
		works(t, redisdb.Config{URL: "unix://" + s.Socket, DB: 3})
		works(t, redisdb.Config{URL: "unix://" + s.Socket + "?db=4"})
		works(t, redisdb.Config{URL: s.URL + "/5"})
		require.Zero(t, s.Client().DBSize(t.Context()).Val(), "nothing is in database 0")
	})
	t.Run("TLS", func(t *testing.T) {
		s := redistest.New(t, redistest.Options{TLS: true})
		works(t, redisdb.Config{URL: s.URL, CAFile: s.CAFile})
		works(t, redisdb.Config{URL: "redis://" + s.Addr, TLS: true, CAFile: s.CAFile})
		_, err := open(t, redisdb.Config{URL: s.URL}).Get(t.Context(), "k")
		require.ErrorIs(t, err, redisdb.ErrUnavailable)
		require.ErrorContains(t, err, "certificate", "an authority that nobody named is not trusted")
	})
	t.Run("TLS in a Cluster", func(t *testing.T) {
		s := redistest.New(t, redistest.Options{TLS: true, Args: []string{"--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", redistest.FreePort(t)}})
		c := s.Client()
		require.NoError(t, c.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
		require.Eventually(t, func() bool { return c.Get(t.Context(), "k").Err().Error() == "redis: nil" }, 5*time.Second, 5*time.Millisecond)
		works(t, redisdb.Config{Mode: redisdb.Cluster, Addrs: []string{s.Addr}, TLS: true, CAFile: s.CAFile})
	})
	t.Run("an ACL user with its own keys and no more rights than the manual asks for", func(t *testing.T) {
		s := redistest.Start(t, "--user", "default", "off",
			"--user", "grantor", "on", ">hush", "~grantor:*", "+@all", "-@admin", "-@dangerous", "+info")
		db := works(t, redisdb.Config{URL: s.URL, Username: "grantor", Password: "hush", WaitReplicas: 1})
		_, err := db.DelDurable(t.Context(), "k")
		require.NoError(t, err)
		report, err := db.Health(t.Context())
		require.NoError(t, err)
		require.Equal(t, "noeviction", report.Policy, "without CONFIG")
		_, err = open(t, redisdb.Config{URL: "redis://grantor:hush@" + s.Addr}).Get(t.Context(), "not:ours")
		require.ErrorIs(t, err, redisdb.ErrUnavailable)
		require.ErrorContains(t, err, "NOPERM")
	})
}

func TestHealth(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	t.Run("S-26 what Redis does with a full memory, and with a restart", func(t *testing.T) {
		s := redistest.Start(t)
		db := open(t, redisdb.Config{URL: s.URL})
		r, err := db.Health(ctx)
		require.NoError(t, err)
		require.False(t, r.Evicts())
		require.Regexp(t, `^\d+\.\d+`, r.Version)
		require.Len(t, r.Warnings(), 1)
		require.Contains(t, r.Warnings()[0], "append-only")
		c := s.Client()
		require.NoError(t, c.ConfigSet(ctx, "appendonly", "yes").Err())
		require.NoError(t, c.ConfigSet(ctx, "maxmemory-policy", "volatile-ttl").Err())
		r, err = db.Health(ctx)
		require.NoError(t, err)
		require.False(t, r.Evicts(), "no limit, nothing is evicted yet")
		require.Len(t, r.Warnings(), 1)
		require.Contains(t, r.Warnings()[0], "volatile-ttl")
		require.NoError(t, c.ConfigSet(ctx, "maxmemory", "100mb").Err())
		r, err = db.Health(ctx)
		require.NoError(t, err)
		require.True(t, r.Evicts())
	})
	t.Run("replicas", func(t *testing.T) {
		s := redistest.Start(t)
		replica := s.AddReplica()
		r, err := open(t, redisdb.Config{URL: s.URL}).Health(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, r.Replicas)
		r, err = open(t, redisdb.Config{URL: replica.URL}).Health(ctx)
		require.NoError(t, err)
		require.True(t, r.Replica)
		require.Contains(t, r.Warnings()[1], "replica")
	})
	t.Run("a Cluster is as good as its worst server", func(t *testing.T) {
		c := redistest.Cluster(t, 3)
		db := open(t, redisdb.Config{Mode: redisdb.Cluster, Addrs: c.Addrs})
		r, err := db.Health(ctx)
		require.NoError(t, err)
		require.Equal(t, "ok", r.State)
		require.False(t, r.Evicts())
		worst := c.Servers[2].Client()
		require.NoError(t, worst.ConfigSet(ctx, "maxmemory", "100mb").Err())
		require.NoError(t, worst.ConfigSet(ctx, "maxmemory-policy", "allkeys-lru").Err())
		r, err = db.Health(ctx)
		require.NoError(t, err)
		require.True(t, r.Evicts())
	})
	t.Run("a Redis that is away", func(t *testing.T) {
		_, err := open(t, redisdb.Config{URL: "redis://127.0.0.1:1"}).Health(ctx)
		require.ErrorIs(t, err, redisdb.ErrUnavailable)
	})
}
