package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/redisdb/redistest"
)

// partition is a node that shares the old primary's side of a parted network: it reaches neither Sentinels nor
// the replica, and the Sentinels reach the primary no more.
type partition struct {
	s       *redistest.Sentinels
	primary *redistest.Server
	watched []*proxy // between the node and the Sentinels
}

func newPartition(t *testing.T, s *redistest.Sentinels) (p *partition, addrs []string) {
	p = &partition{s: s}
	for _, addr := range s.Addrs {
		way := newProxy(t, addr)
		p.watched, addrs = append(p.watched, way), append(addrs, way.Addr)
	}
	return p, addrs
}

// begin parts the network. The Sentinels' view is that of a server whose answers to PING are errors, so they
// elect the replica; the old primary is told nothing.
func (p *partition) begin(t *testing.T) {
	t.Helper()
	p.primary = p.s.Primary()
	isolate(t, p.primary)
	require.NoError(t, p.primary.Client().Do(t.Context(), "acl", "setuser", "default", "-ping", "-replicaof", "-slaveof", "-config|rewrite").Err())
	for _, way := range p.watched {
		way.refuse.Store(true)
		way.cut()
	}
}

func (p *partition) end(t *testing.T) {
	t.Helper()
	require.NoError(t, p.primary.Client().Do(t.Context(), "acl", "setuser", "default", "+@all").Err())
	for _, way := range p.watched {
		way.refuse.Store(false)
	}
	c := p.primary.Client()
	require.Eventually(t, func() bool {
		return strings.Contains(c.Info(t.Context(), "replication").Val(), "role:slave")
	}, 60*time.Second, 50*time.Millisecond, "the Sentinels do not demote the old primary")
}

func TestPartition(t *testing.T) {
	t.Run("S-23 V-13 a node that is left alone with the old primary acknowledges no revocation and no rotation", func(t *testing.T) {
		s := redistest.Sentinel(t, "--min-replicas-to-write", "0", "--min-replicas-max-lag", "1")
		cut, addrs := newPartition(t, s)
		lonely := deploy(t, sentinel(addrs, 1))
		others := *lonely // the same clients and users
		others.config = strings.TrimSuffix(lonely.config, ".toml") + "-2.toml"
		copyConfig(t, lonely.config, others.config, sentinel(addrs, 1), sentinel(s.Addrs, 1))
		a, b := lonely.serve(t), others.serve(t)
		c, ctx := newCaller(lonely), context.Background()

		machine, user := c.issue(ctx, a, "machine-0"), c.login(ctx, a, "user-0")
		require.True(t, c.introspect(ctx, b, machine.Access).Active)
		old := s.Primary()
		cut.begin(t)
		now := s.AwaitPrimary(old)
		require.NotEqual(t, old, now)
		require.Eventually(t, func() bool { return c.introspect(ctx, b, machine.Access).status == 200 }, 20*time.Second, 10*time.Millisecond)

		lonelyServed, lonelyRefused := 0, 0
		revoked := []string{}
		for begun := time.Now(); time.Since(begun) < time.Duration(choose(3, 30))*time.Second; time.Sleep(20 * time.Millisecond) {
			one := c.issue(ctx, b, "machine-1")
			if one.status == 200 && c.revoke(ctx, b, "machine-1", one.Access).status == 200 {
				revoked = append(revoked, one.Access)
			}
			require.NotEqual(t, 200, c.revoke(ctx, a, "machine-0", machine.Access).status, "no replica has it")
			require.NotEqual(t, 200, c.refresh(ctx, a, user.Refresh).status, "no replica has it")
			if c.issue(ctx, a, "machine-2").status == http.StatusOK {
				lonelyServed++
			} else {
				lonelyRefused++
			}
		}
		require.Equal(t, 200, c.revoke(ctx, b, "app", user.Refresh).status)
		stale := c.introspect(ctx, a, user.Access)
		cut.end(t)
		require.Eventually(t, func() bool {
			return c.introspect(ctx, a, machine.Access).status == 200 && c.issue(ctx, a, "machine-0").status == 200
		}, 20*time.Second, 10*time.Millisecond)
		resurrected := 0
		for _, n := range []*node{a, b} {
			for _, token := range append(revoked, user.Access) {
				if c.introspect(ctx, n, token).Active {
					resurrected++
				}
			}
			require.True(t, c.introspect(ctx, n, machine.Access).Active, "its revocation was never acknowledged")
		}
		figure(t, "S-23", fmt.Sprintf("parted for %d s: 0 revocations or rotations acknowledged by the node left with the old primary (it issued %d tokens, all lost, and "+
			"refused %d); a token revoked on the other side there: status %d, active %t; after healing %d of %d acknowledged revocations undone",
			choose(3, 30), lonelyServed, lonelyRefused, stale.status, stale.Active, resurrected, len(revoked)+1), "0 acknowledged alone; 0 undone")
		require.NotEmpty(t, revoked)
		require.Zero(t, resurrected)
	})
}
