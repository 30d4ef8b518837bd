package faults_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestRedisBackEmpty has Redis lose all that it had under nodes that serve, and a third node starts
// at that very moment.
func TestRedisBackEmpty(t *testing.T) {
	jwt := "[tokens]\naccess_token_format = \"jwt\"\n[keys]\nencryption_key = \"0123456789abcdefghijklmnopqrstuvwxyzABCD\"\n"
	for what, empty := range map[string]func(t *testing.T, s *redistest.Server){
		"emptied (FLUSHALL)":            func(t *testing.T, s *redistest.Server) { require.NoError(t, s.Client().FlushAll(t.Context()).Err()) },
		"restarted without persistence": func(_ *testing.T, s *redistest.Server) { s.Restart() },
	} {
		for form, more := range map[string]string{"opaque": "", "jwt": jwt} {
			for _, order := range [][2]int{{0, 1}, {1, 0}} {
				t.Run(fmt.Sprintf("S-21 Redis %s: every node serves again by itself, %s tokens, node %d restarts first", what, form, order[0]), func(t *testing.T) {
					s := redistest.Start(t)
					d := deploy(t, single(s.Addr), more)
					e := &emptied{t: t, c: newCaller(d), nodes: []*node{d.serve(t), d.serve(t)}}
					machine, user := e.c.issue(t.Context(), e.nodes[0], "machine-0"), e.c.login(t.Context(), e.nodes[1], "user-0")
					require.Equal(t, 200, machine.status, machine.body)
					require.Equal(t, 200, user.status, user.body)

					empty(t, s)
					begun := time.Now()
					early := e.issueEarly()
					e.nodes = append(e.nodes, d.serve(t))
					took := e.ready(begun)
					e.gone(machine.Access, user.Access, user.Refresh)
					e.good(early)
					e.good(e.issueAll())
					for _, i := range order { // one after the other: no node may need what another remembers
						e.nodes[i].kill()
						e.nodes[i] = d.serve(t)
						e.good(early)
						e.good(e.issueAll())
					}
					figure(t, "S-21", fmt.Sprintf("Redis %s under two nodes, a third starts, then each restarts (%s tokens): all ready after %s, %d tokens issued since are good on every node",
						what, form, seconds(took), e.seen), "0 wrong inactive; ready ≤ 5 s without a human")
					require.Less(t, took, 10*time.Second)
				})
			}
		}
	}
}

// emptied is what a test knows of nodes whose Redis lost its data.
type emptied struct {
	t     *testing.T
	c     *caller
	nodes []*node
	seen  int
}

// issueEarly asks both nodes for tokens before anybody can have noticed.
func (e *emptied) issueEarly() (list []string) {
	for i := range 40 {
		for _, a := range []answer{e.c.issue(e.t.Context(), e.nodes[i%2], "machine-0"), e.c.login(e.t.Context(), e.nodes[i%2], "user-1")} {
			if a.status == 200 {
				list = append(list, a.Access)
			} else {
				require.Equal(e.t, 503, a.status, a.body)
			}
		}
	}
	return list
}

// issueAll gets a token and a session from every node, and uses the refresh token at the next.
func (e *emptied) issueAll() (list []string) {
	ctx := context.Background()
	for i, n := range e.nodes {
		machine, user := e.c.issue(ctx, n, "machine-1"), e.c.login(ctx, n, "user-2")
		require.Equal(e.t, 200, machine.status, machine.body)
		require.Equal(e.t, 200, user.status, user.body)
		again := e.c.refresh(ctx, e.nodes[(i+1)%len(e.nodes)], user.Refresh)
		require.Equal(e.t, 200, again.status, again.body)
		list = append(list, machine.Access, user.Access, again.Access)
	}
	return list
}

// ready waits for readiness of all, and returns how long that took.
func (e *emptied) ready(begun time.Time) time.Duration {
	for _, n := range e.nodes {
		require.Eventually(e.t, func() bool { return n.readiness(e.t) == 200 }, 30*time.Second, 20*time.Millisecond, n.Out.String())
	}
	return time.Since(begun)
}

// gone asks every node for tokens that Redis lost.
func (e *emptied) gone(list ...string) {
	for _, n := range e.nodes {
		for _, token := range list {
			a := e.c.introspect(context.Background(), n, token)
			require.Equal(e.t, `{"active":false}`, a.body)
		}
	}
}

// good asks every node for tokens that Redis has.
func (e *emptied) good(list []string) {
	for i, n := range e.nodes {
		for k, token := range list {
			a := e.c.introspect(context.Background(), n, token)
			require.True(e.t, a.Active, "node %d, token %d: %s", i, k, a.body)
			e.seen++
		}
	}
}
