package faults_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// span is how long a fault lasts, and shortWindow makes a retry window that is shorter in either
// mode.
func span() time.Duration { return time.Duration(choose(4, 120)) * time.Second }

func shortWindow() string {
	if long {
		return "" // 30 s by default
	}
	return "tokens.retry_window = \"2s\"\n"
}

// TestReplicaAway takes the one replica away for longer than the retry window, under the default
// wait_replicas = 1.
func TestReplicaAway(t *testing.T) {
	t.Parallel() // it waits
	for name, fault := range map[string]struct{ begin, end func(r *redistest.Server) }{
		"killed":  {(*redistest.Server).Kill, (*redistest.Server).Restart},
		"stopped": {(*redistest.Server).Pause, (*redistest.Server).Resume},
	} {
		t.Run("S-22 RT-19 the only replica is "+name+": logins and refreshes go on, no session ends, and reuse is reported", func(t *testing.T) {
			s := redistest.New(t, redistest.Options{AppendOnly: true})
			replica := s.AddReplica()
			d := deploy(t, single(s.Addr)+shortWindow(), fmt.Sprintf("[metrics]\nlisten = \"127.0.0.1:%s\"\n", redistest.FreePort(t)))
			file := d.trail(t)
			n := d.serve(t)
			p := logIn(t, d, n)
			thief := p.login(t.Context(), n, "user-20")
			fault.begin(replica)
			for begun := time.Now(); time.Since(begun) < span(); time.Sleep(200 * time.Millisecond) {
				p.each(func(i int) { p.try(i) })
				require.Equal(t, 200, n.readiness(t))
			}
			refreshes, refused := p.rotated.Load(), p.refused.Load()
			require.Equal(t, 200, p.login(t.Context(), n, "user-21").status)
			require.Equal(t, 503, p.revoke(t.Context(), n, "app", p.login(t.Context(), n, "user-22").Refresh).status, "revocations are strict")

			second := p.refresh(t.Context(), n, thief.Refresh)
			third := p.refresh(t.Context(), n, second.Refresh)
			require.Equal(t, [2]int{200, 200}, [2]int{second.status, third.status}, third.body)
			stolen := p.refresh(t.Context(), n, thief.Refresh)
			require.Equal(t, "400 invalid_grant", fmt.Sprint(stolen.status, " ", stolen.Code), "the verdict is not kept back")
			require.Eventually(t, func() bool { return events(t, file, "reuse_detected") == 1 }, 5*time.Second, 20*time.Millisecond)
			require.Eventually(t, func() bool { return strings.Contains(n.Out.String(), "refresh_token_reused") }, 5*time.Second, 20*time.Millisecond)
			require.Equal(t, `{"active":false}`, p.introspect(t.Context(), n, third.Access).body)
			values := scrape(t, d.config)
			unconfirmed := values[`grantor_writes_accepted_unconfirmed_total{kind="rotation"}`]
			require.Positive(t, unconfirmed)
			require.Positive(t, values[`grantor_writes_accepted_unconfirmed_total{kind="login"}`])
			require.Equal(t, 1.0, values[`grantor_refreshes_total{result="reuse"}`])
			require.GreaterOrEqual(t, values["grantor_pending_revocations"], 2.0, "the end of the session is asked for again too")

			fault.end(replica)
			p.refreshAll()
			require.Eventually(t, func() bool { return scrape(t, d.config)["grantor_pending_revocations"] == 0 }, 20*time.Second, 100*time.Millisecond)
			figure(t, "S-22", fmt.Sprintf("the only replica %s for %s, %d sessions, wait_replicas = 1: %d refreshes answered, %d × 503, sessions lost: %d; %.0f rotations counted as not confirmed",
				name, span(), appCount, refreshes, refused, p.lost.Load(), unconfirmed), "sessions lost: 0")
			p.alive(t)
			require.GreaterOrEqual(t, refreshes, int64(2*appCount), "refreshes go on without the replica")
		})
	}
}

// TestStoreAwayTooLong takes Redis, or all nodes, away for longer than the retry window, after
// everybody lost the answer to a refresh.
func TestStoreAwayTooLong(t *testing.T) {
	t.Parallel() // it waits
	for name, away := range map[string]func(t *testing.T, s *redistest.Server, x *proxy, d *deployment, p *apps){
		"Redis is stopped and goes on": func(_ *testing.T, s *redistest.Server, _ *proxy, _ *deployment, p *apps) {
			s.Pause()
			p.insist(span())
			s.Resume()
		},
		"Redis is killed and started again": func(_ *testing.T, s *redistest.Server, _ *proxy, _ *deployment, p *apps) {
			s.Kill()
			p.insist(span())
			s.Restart()
		},
		"Redis is cut off": func(_ *testing.T, _ *redistest.Server, x *proxy, _ *deployment, p *apps) {
			x.refuse.Store(true)
			x.cut()
			p.insist(span())
			x.refuse.Store(false)
		},
		"all nodes are down": func(t *testing.T, _ *redistest.Server, _ *proxy, d *deployment, p *apps) {
			p.node.Load().kill()
			p.insist(span())
			p.node.Store(d.serve(t))
		},
	} {
		t.Run("S-20 RT-19 "+name+", for longer than the retry window: whoever lost an answer before goes on", func(t *testing.T) {
			s := redistest.New(t, redistest.Options{AppendOnly: true})
			x := newProxy(t, s.Addr)
			d := deploy(t, single(x.Addr)+shortWindow())
			file := d.trail(t)
			p := logIn(t, d, d.serve(t))
			p.loseAnswers(t)
			away(t, s, x, d, p)
			p.refreshAll()
			figure(t, "S-20", fmt.Sprintf("%s, for %s, %d sessions whose last answer was lost: sessions lost: %d", name, span(), appCount, p.lost.Load()), "sessions lost: 0")
			p.alive(t)
			require.Zero(t, events(t, file, "reuse_detected"))
			require.Eventually(t, func() bool { return told(t, file, "retry_after_outage") > 0 }, 5*time.Second, 20*time.Millisecond, "the fault was not felt")
		})
	}
}

// insist lets everybody retry for a while with what they have.
func (p *apps) insist(d time.Duration) {
	until := time.Now().Add(d)
	p.each(func(i int) {
		for p.current[i] != "" && time.Now().Before(until) {
			p.try(i)
		}
	})
}

// told counts lines of a trail with a reason.
func told(t *testing.T, file, reason string) int {
	t.Helper()
	return strings.Count(read(t, file), fmt.Sprintf(`"reason":%q`, reason))
}
