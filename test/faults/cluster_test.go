package faults_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// nodeTimeout is when redistest's Clusters call a node down.
const nodeTimeout = time.Second

// sixNodes is a Cluster of three primaries with a replica each.
func sixNodes(t *testing.T) *redistest.Nodes {
	t.Helper()
	c := redistest.Cluster(t, 3)
	for _, primary := range c.Servers[:3] {
		c.AddReplica(primary)
	}
	return c
}

func TestCluster(t *testing.T) {
	redistest.Need(t)
	for round := range choose(1, 5) {
		t.Run(fmt.Sprintf("S-24 a Cluster of six under load: 1,000 slots are moved, then a primary is killed; round %d", round+1), func(t *testing.T) {
			c := sixNodes(t)
			d := deploy(t, cluster(c.Addrs[:3], 1))
			t.Run("S-24 1,000 slots are moved", func(t *testing.T) { reshard(t, c, d) })
			t.Run("S-24 a primary is killed", func(t *testing.T) { loseNode(t, c, d) })
		})
	}
}

// reshard moves a thousand slots from the first primary to the third, some at a time.
func reshard(t *testing.T, c *redistest.Nodes, d *deployment) {
	const slots, batch = 1000, 100
	l := newLedger(d, d.serve(t), d.serve(t))
	stop := l.load(t, workers)
	l.steady(t, 50)
	l.forgetGaps()
	m := newMove(t, c.Servers[0], c.Servers[2])
	begun := time.Now()
	for first := 0; first < slots; first += batch {
		m.slots(t, first, first+batch)
	}
	took := time.Since(begun)
	l.steady(t, 50)
	stop()
	l.audit(t)
	figure(t, "S-24", fmt.Sprintf("%d slots moved in %s: %s; longest time without introspection %s, without any of the rest %s", slots, seconds(took), l,
		seconds(l.without(reads)), seconds(l.without(writes, ends))), "0 wrong, 0 lost")
	l.innocent(t)
	l.durable(t)
	l.complete(t)
}

// move is the moving of slots from one primary to another.
type move struct {
	from, to     pipeline
	fromID, toID string
	addr         string // of to
}

// pipeline sends commands to one server, many at a time.
type pipeline func(t *testing.T, commands [][]any) []any

func newMove(t *testing.T, from, to *redistest.Server) *move {
	t.Helper()
	m := &move{from: commands(from), to: commands(to), addr: to.Addr}
	m.fromID = m.from(t, [][]any{{"cluster", "myid"}})[0].(string)
	m.toID = m.to(t, [][]any{{"cluster", "myid"}})[0].(string)
	return m
}

func commands(s *redistest.Server) pipeline {
	c := s.Client()
	return func(t *testing.T, list [][]any) (out []any) {
		t.Helper()
		pipe := c.Pipeline()
		for _, args := range list {
			pipe.Do(t.Context(), args...)
		}
		cmds, err := pipe.Exec(t.Context())
		require.NoError(t, err)
		for _, cmd := range cmds {
			out = append(out, cmd.(interface{ Val() any }).Val())
		}
		return out
	}
}

// slots moves those from first up to end. Between its steps clients meet ASK, then MOVED.
func (m *move) slots(t *testing.T, first, end int) {
	t.Helper()
	each := func(f func(slot int) []any) (list [][]any) {
		for slot := first; slot < end; slot++ {
			list = append(list, f(slot))
		}
		return list
	}
	m.to(t, each(func(slot int) []any { return []any{"cluster", "setslot", slot, "importing", m.fromID} }))
	m.from(t, each(func(slot int) []any { return []any{"cluster", "setslot", slot, "migrating", m.toID} }))
	for moved := true; moved; {
		var migrations [][]any
		for _, keys := range m.from(t, each(func(slot int) []any { return []any{"cluster", "getkeysinslot", slot, 10} })) {
			if list := keys.([]any); len(list) > 0 {
				migrations = append(migrations, append([]any{"migrate", hostOf(m.addr), portOf(m.addr), "", 0, 5000, "keys"}, list...))
			}
		}
		if moved = len(migrations) > 0; moved {
			m.from(t, migrations)
		}
	}
	time.Sleep(time.Duration(choose(150, 500)) * time.Millisecond)
	final := each(func(slot int) []any { return []any{"cluster", "setslot", slot, "node", m.toID} })
	m.to(t, final)
	m.from(t, final)
}

// loseNode kills the second primary, whose replica was cut off just before.
func loseNode(t *testing.T, c *redistest.Nodes, d *deployment) {
	l := newLedger(d, d.serve(t), d.serve(t))
	stop := l.load(t, workers)
	l.steady(t, 50)
	l.forgetGaps()
	isolate(t, c.Servers[1])
	time.Sleep(200 * time.Millisecond)
	c.Servers[1].Kill()
	begun := time.Now()
	whole := l.whole(t)
	l.steady(t, 50)
	stop()
	l.audit(t)
	figure(t, "S-24", fmt.Sprintf("a primary killed 0.2 s after its replica was cut off, wait_replicas = 1: %s; longest time without any introspection %s, without any of the rest %s; "+
		"all slots served again after %s", l, seconds(l.without(reads)), seconds(l.without(writes, ends)), seconds(whole.Sub(begun))),
		"0 wrong; 0 revocations and rotations lost; errors ≤ 6 s")
	l.innocent(t)
	l.durable(t)
	require.Less(t, whole.Sub(begun), l.allow(nodeTimeout+5*time.Second))
}

// whole waits until nothing was refused for half a second, and returns when that began.
func (l *ledger) whole(t *testing.T) time.Time {
	t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.unavailable
	}
	last, since := count(), time.Now()
	time.Sleep(50 * time.Millisecond)
	require.Eventually(t, func() bool {
		if now := count(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 500*time.Millisecond
	}, 60*time.Second, 5*time.Millisecond, "it goes on refusing")
	return since
}
