package faults_test

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/processtest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// streamKey is the stream in Redis.
const streamKey = "grantor:" + feed.StreamKey

// liveSingle is a live over one Redis, which is reached by a proxy.
type liveSingle struct {
	*live
	s   *redistest.Server
	p   *proxy
	api *processtest.Process
}

func newLiveSingle(t *testing.T) *liveSingle {
	t.Helper()
	x := &liveSingle{s: redistest.New(t, redistest.Options{AppendOnly: true})}
	x.p = newProxy(t, x.s.Addr)
	x.live = newLive(t, single(x.p.Addr), "")
	x.follow(t, verifiers)
	x.api = x.live.api(t)
	x.begin(t)
	return x
}

// begin runs the load, and waits until all verifiers follow.
func (w *live) begin(t *testing.T) {
	t.Helper()
	w.run(t)
	w.fresh(t)
	w.steady(t, 1)
}

// TestLive breaks what is around two nodes on one Redis, while fifty verifiers check tokens that
// end.
func TestLive(t *testing.T) {
	x := newLiveSingle(t)
	for _, fault := range []struct {
		name    string
		inflict func(t *testing.T)
	}{
		{"no fault", func(*testing.T) { time.Sleep(liveSpan()) }},
		{"the feed of two fifths of the verifiers cut off", x.cutFeeds},
		{"polls of two fifths of the verifiers late by 0.5 to 3 s", x.delayPolls},
		{"an API stopped for 3 s (SIGSTOP)", func(t *testing.T) { stopFor3s(t, x.api) }},
		{"a node stopped for 3 s (SIGSTOP)", func(t *testing.T) { stopFor3s(t, x.nodes[0].now.Load().Process) }},
		{"a node killed and started", x.killNode},
		{"a node stopped by SIGTERM and started", x.stopNode},
		{"Redis cut off for 1.5 s", x.cutRedis},
		{"answers of Redis swallowed for 1.5 s", x.swallow},
		{"answers of Redis late by 1 to 50 ms", x.delayRedis},
		{"Redis paused for 1.5 s", x.pauseRedis},
		{"scripts flushed", x.flush},
		{"Redis full", x.configured("maxmemory", "1mb", "0")},
		{"min-replicas-to-write unmet", x.configured("min-replicas-to-write", "1", "0")},
		{"one node reloaded without two clients, the other later", x.reload},
		{"the stream trimmed to its last entry, again and again", x.trim},
		{"the stream deleted while two fifths of the verifiers are cut off from it", x.loseStream},
		{"the stream deleted, again and again", x.deleteStream},
	} {
		t.Run("IN-27 "+fault.name+": no verifier passes a token later than the lease after the 200 of its end", func(t *testing.T) {
			x.suffer(t, fault.name, fault.inflict)
		})
		if t.Failed() {
			return // what comes next would say nothing
		}
	}
	x.everyWay(t)
}

func (x *liveSingle) cutFeeds(*testing.T) {
	for turn := range choose(1, 5) {
		x.parted(func(i int) bool { return (i+turn)%5 < 2 })
		time.Sleep(max(liveSpan(), 2*liveLease))
	}
	x.parted(func(int) bool { return false })
}

// parted cuts verifiers off from the feed, and joins the others.
func (x *liveSingle) parted(which func(i int) bool) {
	for i, v := range x.verifiers {
		if v.feed != nil {
			v.feed.hole.Store(which(i))
		}
	}
}

// loseStream deletes the stream with ends in it that some have not heard of. Who has nobody to ask
// refuses JWTs from then on that were issued before.
func (x *liveSingle) loseStream(t *testing.T) {
	x.parted(func(i int) bool { return i%5 < 2 })
	time.Sleep(2 * liveLease)
	x.forgot.Store(true)
	order(t, x.s, "del", streamKey)
	time.Sleep(liveSpan())
	x.parted(func(int) bool { return false })
}

func (x *liveSingle) delayPolls(*testing.T) {
	set := func(most time.Duration) {
		for i, v := range x.verifiers {
			if v.feed != nil && i%5 < 2 {
				v.feed.most.Store(int64(most))
			}
		}
	}
	set(3 * time.Second)
	time.Sleep(3 * liveSpan())
	set(0)
}

func stopFor3s(t *testing.T, p *processtest.Process) {
	for range choose(1, 10) {
		goOn := halt(t, p.Cmd)
		time.Sleep(3 * time.Second)
		goOn()
		time.Sleep(500 * time.Millisecond)
	}
}

func (x *liveSingle) killNode(t *testing.T) {
	for range choose(1, 5) {
		x.nodes[1].now.Load().kill()
		time.Sleep(liveSpan())
		x.nodes[1].start(x.t)
	}
}

func (x *liveSingle) stopNode(t *testing.T) {
	for range choose(1, 5) {
		code, _ := x.nodes[0].now.Load().stop()
		require.Zero(t, code)
		x.nodes[0].start(x.t) // which outlives this fault
	}
}

func (x *liveSingle) cutRedis(*testing.T) {
	for range choose(1, 10) {
		x.p.refuse.Store(true)
		x.p.cut()
		time.Sleep(1500 * time.Millisecond)
		x.p.refuse.Store(false)
		time.Sleep(500 * time.Millisecond)
	}
}

func (x *liveSingle) swallow(*testing.T) {
	for range choose(1, 10) {
		x.p.swallow.Store(true)
		time.Sleep(1500 * time.Millisecond)
		x.p.swallow.Store(false)
		x.p.cut()
		time.Sleep(500 * time.Millisecond)
	}
}

func (x *liveSingle) delayRedis(*testing.T) {
	x.p.most.Store(int64(50 * time.Millisecond))
	time.Sleep(liveSpan())
	x.p.most.Store(0)
}

func (x *liveSingle) pauseRedis(*testing.T) {
	for range choose(1, 10) {
		x.s.Pause()
		time.Sleep(1500 * time.Millisecond)
		x.s.Resume()
		time.Sleep(500 * time.Millisecond)
	}
}

func (x *liveSingle) flush(t *testing.T) {
	for begun := time.Now(); time.Since(begun) < liveSpan(); time.Sleep(20 * time.Millisecond) {
		order(t, x.s, "script", "flush", "sync")
	}
}

func (x *liveSingle) configured(key, bad, good string) func(t *testing.T) {
	return func(t *testing.T) {
		order(t, x.s, "config", "set", key, bad)
		time.Sleep(liveSpan())
		order(t, x.s, "config", "set", key, good)
	}
}

// trim takes ends away that a node or a verifier may not have read. Who finds its place cut off
// knows that there were some.
func (x *liveSingle) trim(t *testing.T) {
	x.forgot.Store(true)
	for begun := time.Now(); time.Since(begun) < liveSpan(); time.Sleep(200 * time.Millisecond) {
		order(t, x.s, "xtrim", streamKey, "maxlen", 1)
	}
}

func (x *liveSingle) deleteStream(t *testing.T) {
	for begun := time.Now(); time.Since(begun) < liveSpan(); time.Sleep(400 * time.Millisecond) {
		order(t, x.s, "del", streamKey)
	}
}

// reload takes two clients out of the configuration of one node, and a while later out of the
// other's. Who asks the other node hears of it then; who asks nobody, at once.
func (x *liveSingle) reload(t *testing.T) {
	var list []*grant
	for i, client := range []string{"gone", "jwt-gone"} {
		for range 5 {
			a := x.insist(t, func() answer { return x.c.issue(t.Context(), x.nodes[0].now.Load(), client) })
			list = append(list, &grant{text: a.Access, jwt: i == 1, born: x.now(), how: "client removed by a reload"})
		}
	}
	x.add(list...)
	time.Sleep(500 * time.Millisecond)
	for _, g := range list {
		g.ask(x.now())
	}
	for i := range x.nodes {
		x.nodes[i].without(t, x.c, "gone", "jwt-gone")
		now := x.now()
		for _, g := range list {
			g.over[i].Store(now)
			if i == 1 {
				g.over[2].Store(now)
			}
		}
		time.Sleep(liveSpan())
	}
	x.end("client removed by a reload", list)
	time.Sleep(liveSpan())
}

// without takes clients out of a node's configuration, and returns when it is in force.
func (n *liveNode) without(t *testing.T, c *caller, ids ...string) {
	t.Helper()
	parts := strings.Split(read(t, n.config), "[[clients]]\n")
	kept := parts[:1]
	for _, p := range parts[1:] {
		gone := false
		for _, id := range ids {
			gone = gone || strings.HasPrefix(p, "client_id = \""+id+"\"\n")
		}
		if !gone {
			kept = append(kept, p)
		}
	}
	require.Len(t, kept, len(parts)-len(ids))
	require.NoError(t, os.WriteFile(n.config, []byte(strings.Join(kept, "[[clients]]\n")), 0o600))
	hangUp(t, n.now.Load().Cmd)
	require.Eventually(t, func() bool {
		a := c.post(context.Background(), n.now.Load().URL+"/oauth2/token", ids[0], c.d.secret, url.Values{"grant_type": {"client_credentials"}})
		return a.status == 401
	}, 20*time.Second, 5*time.Millisecond, "the configuration does not come in force")
}
