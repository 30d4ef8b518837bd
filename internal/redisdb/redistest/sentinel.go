package redistest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/go-redis/redis/v8"
)

// MasterName is the name under which Sentinels know their primary.
const MasterName = "grantor"

// Sentinels watch over a primary and its replica.
type Sentinels struct {
	Addrs     []string // of the Sentinels
	Sentinels []*Server
	Servers   []*Server // the two data servers; Primary tells them apart

	t testing.TB
}

// Sentinel starts a primary, a replica and three Sentinels that call a server down after half a
// second, and waits until each knows all others. The arguments are those of the two data servers.
func Sentinel(t testing.TB, args ...string) *Sentinels {
	t.Helper()
	s := &Sentinels{t: t}
	primary := Start(t, args...)
	s.Servers = []*Server{primary, primary.AddReplica(args...)}
	for range 3 {
		host, port, _ := net.SplitHostPort(primary.Addr)
		watcher := New(t, Options{sentinel: fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s 2\nsentinel down-after-milliseconds %[1]s 500\n"+
			"sentinel failover-timeout %[1]s 3000\nsentinel parallel-syncs %[1]s 1\n", MasterName, host, port)})
		s.Sentinels = append(s.Sentinels, watcher)
		s.Addrs = append(s.Addrs, watcher.Addr)
	}
	for _, watcher := range s.Sentinels {
		await(t, "a Sentinel that knows the others", func() bool {
			text := fmt.Sprint(watcher.do("info", "sentinel"))
			return strings.Contains(text, "slaves=1,sentinels=3")
		})
	}
	return s
}

// AddReplica starts a replica of the server and waits until it has caught up.
func (s *Server) AddReplica(args ...string) *Server {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.Addr)
	r := Start(s.t, append([]string{"--replicaof", host + " " + port}, args...)...)
	s.awaitReplica(r)
	return r
}

// awaitReplica waits until the server calls the replica in step, and all its replicas confirm a
// write: for up to a second after the first they do not.
func (s *Server) awaitReplica(r *Server) {
	s.t.Helper()
	await(s.t, "a replica in step", func() bool {
		info := fmt.Sprint(s.do("info", "replication"))
		if !strings.Contains(info, "port="+r.port()+",state=online") {
			return false
		}
		all := int64(strings.Count(info, ",state=online"))
		c := redis.NewClient(&redis.Options{Addr: s.Addr, PoolSize: 1, MaxRetries: -1})
		defer c.Close()
		c.Do(context.Background(), "function", "flush") // a write without a key
		n, err := c.Do(context.Background(), "wait", all, 100).Int64()
		return err == nil && n == all
	})
}

func (s *Server) port() string {
	_, port, _ := net.SplitHostPort(s.Addr)
	return port
}

// Primary is the data server that the Sentinels now name.
func (s *Sentinels) Primary() *Server {
	s.t.Helper()
	for _, watcher := range s.Sentinels {
		c := redis.NewSentinelClient(&redis.Options{Addr: watcher.Addr})
		addr, err := c.GetMasterAddrByName(context.Background(), MasterName).Result()
		_ = c.Close()
		for _, server := range s.Servers {
			if err == nil && net.JoinHostPort(addr[0], addr[1]) == server.Addr {
				return server
			}
		}
	}
	s.t.Fatal("no Sentinel names a primary")
	return nil
}

// KillPrimary ends the primary at once and returns it. The Sentinels will promote the replica.
func (s *Sentinels) KillPrimary() *Server {
	s.t.Helper()
	p := s.Primary()
	p.Stop()
	return p
}

// AwaitPrimary waits until the Sentinels name another primary than old, and it takes writes.
func (s *Sentinels) AwaitPrimary(old *Server) *Server {
	s.t.Helper()
	var now *Server
	await(s.t, "another primary", func() bool {
		now = s.Primary()
		return now != old && strings.Contains(fmt.Sprint(now.do("info", "replication")), "role:master")
	})
	return now
}
