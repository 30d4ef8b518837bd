package faults_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis/v8"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// hourDown is when the run's Sentinels call a server down: shorter outages are no failovers.
const hourDown = 3 * time.Second

// sentries are Sentinels over two data servers that everybody, they too, reaches through proxies.
type sentries struct {
	addrs    []string // of the Sentinels
	watchers []*watcher
	data     []*server
}

// watcher is a Sentinel.
type watcher struct {
	*redistest.Server
	c *redis.SentinelClient
}

// server is a data server, its proxy, and a client of its own that goes past it.
type server struct {
	*redistest.Server
	p *proxy
	c *redis.Client
}

// newSentries starts them. The Sentinels are those of redistest, told to watch over others.
func newSentries(t *testing.T) *sentries {
	t.Helper()
	s := redistest.Sentinel(t)
	r := &sentries{addrs: s.Addrs}
	for range 2 {
		p := newProxy(t, "")
		one := redistest.Start(t, "--replica-announce-ip", "127.0.0.1", "--replica-announce-port", portOf(p.Addr))
		p.to = one.Addr                                      // nobody has connected yet
		c := redis.NewClient(&redis.Options{Addr: one.Addr}) // it repeats: a server that was restarted has closed its connections
		t.Cleanup(func() { _ = c.Close() })
		r.data = append(r.data, &server{one, p, c})
	}
	r.data[1].follow(t, r.data[0])
	for _, w := range s.Sentinels {
		c := redis.NewSentinelClient(&redis.Options{Addr: w.Addr})
		t.Cleanup(func() { _ = c.Close() })
		r.watchers = append(r.watchers, &watcher{w, c})
		do := func(args ...any) { t.Helper(); require.NoError(t, w.Client().Do(t.Context(), args...).Err(), args) }
		do("sentinel", "remove", redistest.MasterName)
		do("sentinel", "monitor", redistest.MasterName, "127.0.0.1", portOf(r.data[0].p.Addr), 2)
		do("sentinel", "set", redistest.MasterName, "down-after-milliseconds", hourDown.Milliseconds(), "failover-timeout", 3000)
	}
	for _, old := range s.Servers {
		old.Stop()
	}
	r.mend(t)
	return r
}

func (s *server) do(t *testing.T, args ...any) {
	t.Helper()
	require.NoError(t, s.c.Do(t.Context(), args...).Err(), args)
}

// follow makes a server the replica of another.
func (s *server) follow(t *testing.T, primary *server) {
	t.Helper()
	s.do(t, "replicaof", hostOf(primary.p.Addr), portOf(primary.p.Addr))
}

// named is the server that a Sentinel names as the primary; nil: it does not say.
func (r *sentries) named(t *testing.T, w *watcher) *server {
	addr, err := w.c.GetMasterAddrByName(t.Context(), redistest.MasterName).Result()
	for _, s := range r.data {
		if err == nil && net.JoinHostPort(addr[0], addr[1]) == s.p.Addr {
			return s
		}
	}
	return nil
}

// primary and replica are what all Sentinels agree on.
func (r *sentries) primary(t *testing.T) *server {
	t.Helper()
	var p *server
	require.Eventually(t, func() bool {
		p = r.named(t, r.watchers[0])
		for _, w := range r.watchers {
			if p == nil || r.named(t, w) != p {
				return false
			}
		}
		return true
	}, 30*time.Second, 20*time.Millisecond, "the Sentinels do not agree")
	return p
}

func (r *sentries) other(s *server) *server {
	if r.data[0] == s {
		return r.data[1]
	}
	return r.data[0]
}

// replaced waits until all Sentinels name another primary, and it takes writes.
func (r *sentries) replaced(t *testing.T, old *server) *server {
	t.Helper()
	now := r.other(old)
	require.Eventually(t, func() bool {
		for _, w := range r.watchers {
			if r.named(t, w) != now {
				return false
			}
		}
		return strings.Contains(now.c.Info(t.Context(), "replication").Val(), "role:master")
	}, 60*time.Second, 20*time.Millisecond, "the Sentinels name no other primary")
	return now
}

// mend waits until the primary has a replica in step that the Sentinels know to be well, and gives
// the nodes the time to learn of it: only then may the next thing break.
func (r *sentries) mend(t *testing.T) {
	t.Helper()
	p := r.primary(t)
	o := r.other(p)
	require.Eventually(t, func() bool {
		return strings.Contains(p.c.Info(t.Context(), "replication").Val(), fmt.Sprintf("port=%s,state=online,", portOf(o.p.Addr))) && r.well(t)
	}, 60*time.Second, 50*time.Millisecond, "the replica does not come back")
	time.Sleep(2500 * time.Millisecond) // a node does not say what it has learned
}

// well says whether all Sentinels know each other and find nothing amiss.
func (r *sentries) well(t *testing.T) bool {
	for _, w := range r.watchers {
		m, err := w.c.Master(t.Context(), redistest.MasterName).Result()
		if err != nil || m["flags"] != "master" || m["num-other-sentinels"] != "2" || m["num-slaves"] != "1" {
			return false
		}
		list, err := w.c.Slaves(t.Context(), redistest.MasterName).Result()
		if err != nil || len(list) != 1 || !strings.Contains(fmt.Sprint(list[0]), "flags slave ") {
			return false
		}
	}
	return true
}

func freePort(t *testing.T) string { t.Helper(); return redistest.FreePort(t) }
