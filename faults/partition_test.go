package faults_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/redisdb/redistest"
)

// partition is a network that can be parted: on one side the primary and a node that connects by the name of
// "lonely", on the other the Sentinels, the replica and all who connect without a name.
type partition struct {
	*redistest.Sentinels
	old *redistest.Server
}

const lonely = "lonely"

func newPartition(t *testing.T) *partition {
	t.Helper()
	p := &partition{Sentinels: redistest.Sentinel(t)}
	for _, s := range append(p.Servers, p.Sentinels.Sentinels...) {
		order(t, s, "acl", "setuser", lonely, "on", ">"+lonely, "~*", "&*", "+@all")
	}
	return p
}

func order(t *testing.T, s *redistest.Server, args ...any) {
	t.Helper()
	require.NoError(t, s.Client().Do(t.Context(), args...).Err(), args)
}

// part leaves the primary alone with the lonely.
func (p *partition) part(t *testing.T) {
	t.Helper()
	p.old = p.Primary()
	order(t, p.old, "acl", "setuser", "default", "-@all", "+acl", "+client|kill")
	order(t, p.old, "client", "kill", "type", "replica")
	order(t, p.old, "acl", "setuser", "default", "-client|kill")
	for _, s := range p.Sentinels.Sentinels {
		order(t, s, "acl", "setuser", lonely, "off")
		order(t, s, "client", "kill", "user", lonely)
	}
	p.AwaitPrimary(p.old)
}

// join ends it, and waits until the old primary obeys the new one.
func (p *partition) join(t *testing.T) {
	t.Helper()
	for _, s := range append(p.Sentinels.Sentinels, p.old) {
		order(t, s, "acl", "setuser", lonely, "on")
		order(t, s, "acl", "setuser", "default", "+@all")
	}
	if !long { // what the Sentinels do after 8 s
		now := p.Primary()
		order(t, p.old, "replicaof", hostOf(now.Addr), portOf(now.Addr))
	}
	c := p.old.Client()
	require.Eventually(t, func() bool {
		return strings.Contains(c.Info(t.Context(), "replication").Val(), "role:slave")
	}, 60*time.Second, 20*time.Millisecond, "the Sentinels do not demote the old primary")
}

// TestPartition asks both sides for all that must not be acknowledged by one.
func TestPartition(t *testing.T) {
	t.Parallel() // it waits for replicas and Sentinels
	t.Run("S-23 V-13 a node left alone with the old primary acknowledges no revocation, no rotation and no log-in", func(t *testing.T) {
		p := newPartition(t)
		d := deploy(t, sentinel(p.Addrs, 1))
		there := d.as(t, lonely)
		a, b := there.serve(t), d.serve(t)
		c, ctx := newCaller(d), context.Background()
		machine, user := c.issue(ctx, a, "machine-0"), c.login(ctx, a, "user-0")
		require.True(t, c.introspect(ctx, b, machine.Access).Active)
		require.Equal(t, 200, user.status, user.body)
		p.part(t)
		require.Eventually(t, func() bool { return c.issue(ctx, b, "machine-1").status == 200 }, 20*time.Second, 10*time.Millisecond)

		var revoked, alone []string
		tries, span := 0, time.Duration(choose(3, 30))*time.Second
		for begun := time.Now(); time.Since(begun) < span; tries++ {
			one := c.issue(ctx, b, "machine-1")
			if one.status == 200 && c.revoke(ctx, b, "machine-1", one.Access).status == 200 {
				revoked = append(revoked, one.Access)
			}
			require.Equal(t, 503, c.revoke(ctx, a, "machine-0", machine.Access).status, "no replica has it")
			require.Equal(t, 503, c.refresh(ctx, a, user.Refresh).status, "no replica has it")
			require.Equal(t, 503, c.login(ctx, a, "user-1").status, "no replica has it")
			if one := c.issue(ctx, a, "machine-3"); one.status == 200 {
				alone = append(alone, one.Access)
			}
		}
		require.Equal(t, 200, c.revoke(ctx, b, "app", user.Refresh).status)
		revoked = append(revoked, user.Access)
		stale, beyond := c.introspect(ctx, a, user.Access), c.issue(ctx, b, "machine-1")
		require.Equal(t, 200, beyond.status, beyond.body)
		p.join(t)
		undone, lost := 0, 0
		for _, n := range []*node{a, b} {
			require.Eventually(t, func() bool { return c.introspect(ctx, n, beyond.Access).Active }, 20*time.Second, 5*time.Millisecond,
				"the node does not find the new primary")
			require.Eventually(t, func() bool { return c.introspect(ctx, n, machine.Access).body == `{"active":false}` }, 20*time.Second, 5*time.Millisecond,
				"the node does not ask again for a revocation that it could not confirm")
			for _, token := range revoked {
				undone += btoi(c.introspect(ctx, n, token).body != `{"active":false}`)
			}
		}
		for _, token := range alone {
			lost += btoi(!c.introspect(ctx, b, token).Active)
		}
		figure(t, "S-23", fmt.Sprintf("parted for %s: of %d revocations, refreshes and log-ins at the node left alone 0 acknowledged; after healing 0 of %d acknowledged revocations "+
			"undone, and %d of %d machine tokens lost that it issued; a token revoked on the other side, asked there: %d, active %t", span, 3*tries, len(revoked), lost, len(alone), stale.status,
			stale.Active), "0 acknowledged alone, 0 undone")
		require.Zero(t, undone)
		require.Greater(t, len(revoked), 1)
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
