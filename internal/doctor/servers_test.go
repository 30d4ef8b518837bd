package doctor_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/doctor"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// unreadable is what nobody can tell of a Redis that does not answer.
func unreadable() (list []string) {
	for _, c := range doctor.Checks() {
		switch c.ID {
		case "redis.reachable", "redis.cluster", "redis.sentinels", "redis.certificate":
		case "feed.enabled", "keys.readable", "keys.schedule", "scopes.readable", "scopes.granted", "clients.grants", "clients.idle", "clients.secrets", "nodes.ready", "nodes.configuration":
			list = append(list, "unknown "+c.ID)
		default:
			if strings.HasPrefix(c.ID, "redis.") {
				list = append(list, "unknown "+c.ID)
			}
		}
	}
	return append(list, unserved()...)
}

// TestUnreachable: a Redis that cannot be used is one fault, and what follows from it is unknown.
func TestUnreachable(t *testing.T) {
	srv := startRedis(t)
	encrypted := redistest.New(t, redistest.Options{TLS: true})
	locked := redistest.Start(t, "--requirepass", "a-password")
	for name, c := range map[string]struct {
		url, text, cure string
	}{
		"nobody listens":         {"redis://127.0.0.1:" + redistest.FreePort(t), "refused", "start Redis"},
		"no password":            {locked.URL, "NOAUTH", "username and password"},
		"S-22 a wrong password":  {strings.Replace(locked.URL, "redis://", "redis://:hunter2@", 1), "WRONGPASS", "username and password"},
		"an unknown authority":   {encrypted.URL, "unknown authority", "ca_file"},
		"no TLS where it wants":  {strings.Replace(srv.URL, "redis://", "rediss://", 1), "deadline exceeded", "start Redis"},
		"a database beyond them": {srv.URL + "/99", "DB index", "look at db"},
	} {
		t.Run(name, func(t *testing.T) {
			d := sound(t, c.url)
			r := d.run()
			require.ElementsMatch(t, append(unreadable(), "fault redis.reachable"), notable(r), "%v", r.Findings)
			found := of(r, "redis.reachable")[0]
			require.Contains(t, found.Text, c.text)
			require.Contains(t, found.Cure, c.cure)
			require.NotContains(t, fmt.Sprint(r), "hunter2")
		})
	}
	t.Run("a Redis that hangs is bounded", func(t *testing.T) {
		hung := startRedis(t)
		hung.Pause()
		t.Cleanup(hung.Resume)
		d := sound(t, hung.URL)
		d.o.Timeout = 3 * time.Second
		begun := time.Now()
		r := d.run()
		require.Less(t, time.Since(begun), 4*time.Second)
		requireFound(t, r, "redis.reachable", doctor.Fault, "no answer within 1s")
	})
}

// TestPlantedServers: what is wrong with other arrangements of Redis.
func TestPlantedServers(t *testing.T) {
	t.Run("a replica", func(t *testing.T) {
		srv := startRedis(t)
		replica := srv.AddReplica("--maxmemory", "256mb", "--appendonly", "yes")
		r := sound(t, replica.URL).run()
		requireFound(t, r, "redis.role", doctor.Fault, "is a replica and takes no writes")
		require.Equal(t, 1, r.Faults)
	})
	t.Run("a snapshot that failed", func(t *testing.T) {
		srv := redistest.Start(t, "--maxmemory", "256mb")
		require.NoError(t, os.RemoveAll(srv.Dir))
		_ = srv.Client().BgSave(t.Context()).Err()
		d := sound(t, srv.URL)
		var r doctor.Report
		require.Eventually(t, func() bool { r = d.run(); return r.Faults == 1 }, 5*time.Second, 50*time.Millisecond)
		requireFound(t, r, "redis.persistence", doctor.Fault, "last write of the snapshot")
	})
	t.Run("the certificate for Redis", func(t *testing.T) {
		srv := redistest.New(t, redistest.Options{TLS: true, Mutual: true, Args: []string{"--appendonly", "yes", "--maxmemory", "256mb"}})
		cert, key := srv.ClientCertificate("grantor", 20*24*time.Hour)
		d := sound(t, srv.URL)
		d.set("# more redis", fmt.Sprintf("ca_file = %q\ncert_file = %q\nkey_file = %q", srv.CAFile, cert, key))
		r := d.run()
		require.ElementsMatch(t, append(unserved(), "warning redis.certificate"), notable(r), "%v", r.Findings)
		requireFound(t, r, "redis.certificate", doctor.Warning, "in 19 days")
		srv.ClientCertificate("grantor", -time.Minute)
		requireFound(t, d.run(), "redis.certificate", doctor.Fault, "ended at")
		require.NoError(t, os.Remove(cert))
		requireFound(t, d.run(), "redis.certificate", doctor.Fault, "no such file")
	})
}

func TestPlantedSentinels(t *testing.T) {
	s := redistest.Sentinel(t, "--appendonly", "yes", "--maxmemory", "256mb")
	d := sound(t, "")
	d.set(`url = ""`, fmt.Sprintf("mode = \"sentinel\"\nmaster = %q\naddrs = [%q, %q, %q]", redistest.MasterName, s.Addrs[0], s.Addrs[1], s.Addrs[2]))
	require.Equal(t, unserved(), notable(d.run()), "it is sound")
	t.Run("one is a Sentinel and not Redis", func(t *testing.T) {
		r := sound(t, "redis://"+s.Addrs[0]).run()
		requireFound(t, r, "redis.role", doctor.Fault, `is a Sentinel`)
	})
	t.Run("a replica that hangs lags", func(t *testing.T) {
		replica := s.Servers[1]
		replica.Pause()
		t.Cleanup(replica.Resume)
		var r doctor.Report
		require.Eventually(t, func() bool { r = d.run(); return of(r, "redis.replicas")[0].Level == doctor.Warning }, 15*time.Second, 200*time.Millisecond)
		requireFound(t, r, "redis.replicas", doctor.Warning, "has not answered for")
	})
	t.Run("a replica that is lost", func(t *testing.T) {
		require.NoError(t, s.Servers[0].Client().Set(t.Context(), d.value("prefix")+"replicas:{registry}", `1 "x" y`, time.Hour).Err())
		s.Servers[1].Stop()
		var r doctor.Report
		require.Eventually(t, func() bool { r = d.run(); return of(r, "redis.replicas")[0].Level == doctor.Fault }, 15*time.Second, 200*time.Millisecond)
		requireFound(t, r, "redis.replicas", doctor.Fault, "revocations and changes are answered 503")
		d.set("# more redis", `wait_missing = "degrade"`)
		requireFound(t, d.run(), "redis.replicas", doctor.Warning, "a failover may undo revocations")
	})
	t.Run("one Sentinel is away", func(t *testing.T) {
		s.Sentinels[2].Stop()
		requireFound(t, d.run(), "redis.sentinels", doctor.Warning, s.Addrs[2])
	})
	t.Run("no majority of Sentinels", func(t *testing.T) {
		s.Sentinels[1].Stop()
		requireFound(t, d.run(), "redis.sentinels", doctor.Fault, "2 of 3 Sentinels")
	})
}

func TestPlantedCluster(t *testing.T) {
	c := redistest.Cluster(t, 3, "--appendonly", "yes", "--maxmemory", "256mb")
	d := sound(t, "")
	d.set(`url = ""`, fmt.Sprintf("mode = \"cluster\"\naddrs = [%q, %q]", c.Addrs[0], c.Addrs[1]))
	t.Run("primaries without replicas", func(t *testing.T) {
		r := d.run()
		require.ElementsMatch(t, append(unserved(), "warning redis.cluster", "warning redis.cluster", "warning redis.cluster"), notable(r), "%v", r.Findings)
		requireFound(t, r, "redis.cluster", doctor.Warning, "has no replica")
	})
	t.Run("it is sound", func(t *testing.T) {
		for _, primary := range c.Servers[:3] {
			c.AddReplica(primary)
		}
		require.Equal(t, unserved(), notable(d.run()))
	})
	t.Run("mode is not cluster", func(t *testing.T) {
		r := sound(t, c.Servers[0].URL).run()
		requireFound(t, r, "redis.role", doctor.Fault, "is a server of a Cluster")
	})
	t.Run("slots that are not served", func(t *testing.T) {
		c.Servers[0].Client().ConfigSet(t.Context(), "cluster-require-full-coverage", "yes")
		require.NoError(t, c.Servers[0].Client().Do(t.Context(), "cluster", "delslots", 1).Err())
		var r doctor.Report
		require.Eventually(t, func() bool { r = d.run(); return of(r, "redis.cluster")[0].Level == doctor.Fault }, 5*time.Second, 50*time.Millisecond)
		requireFound(t, r, "redis.cluster", doctor.Fault, "some slots are not served")
	})
}
