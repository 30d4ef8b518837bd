package faults_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// partition is a network that can be parted: on one side the primary and a node that connects by
// the name of "lonely", on the other the Sentinels, the replica and all who connect without a name.
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

// part leaves the primary alone with the lonely. The Sentinels will promote the replica.
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

// TestPartition asks both sides for all that must not be answered by one. How long it lasts makes
// no difference to a node: how many replicas must confirm is not forgotten.
func TestPartition(t *testing.T) {
	t.Parallel() // it waits for replicas and Sentinels
	t.Run("S-23 V-13 a node left alone with the old primary acknowledges nothing, and tells nothing of what it cannot know", func(t *testing.T) {
		p := newPartition(t)
		d := deploy(t, sentinel(p.Addrs, 1))
		there := d.as(t, lonely)
		a, b := there.serve(t), d.serve(t)
		c, ctx := newCaller(d), context.Background()
		machine, user, other := c.issue(ctx, a, "machine-0"), c.login(ctx, a, "user-0"), c.login(ctx, a, "user-1")
		require.True(t, c.introspect(ctx, b, machine.Access).Active)
		require.Equal(t, 200, user.status, user.body)
		p.part(t)
		soon := c.revoke(ctx, a, "machine-0", machine.Access)
		require.Equal(t, 503, soon.status, "no replica has it")
		require.Contains(t, soon.body, `"outcome":"not_confirmed"`)
		p.AwaitPrimary(p.old)
		require.Eventually(t, func() bool { return c.issue(ctx, b, "machine-1").status == 200 }, 20*time.Second, 10*time.Millisecond)
		require.Eventually(t, func() bool { return a.readiness(t) == 503 }, 20*time.Second, 10*time.Millisecond, "no Sentinel calls it the primary")

		var revoked []string
		asked, span := 0, time.Duration(choose(3, 120))*time.Second
		for begun := time.Now(); time.Since(begun) < span; asked += 6 {
			one := c.issue(ctx, b, "machine-1")
			if one.status == 200 && c.revoke(ctx, b, "machine-1", one.Access).status == 200 {
				revoked = append(revoked, one.Access)
			}
			require.Equal(t, 503, c.revoke(ctx, a, "machine-0", machine.Access).status)
			require.Equal(t, 503, c.refresh(ctx, a, other.Refresh).status)
			require.Equal(t, 503, c.login(ctx, a, "user-1").status)
			require.Equal(t, 503, c.issue(ctx, a, "machine-3").status)
			require.Equal(t, 503, c.introspect(ctx, a, one.Access).status, "revoked beyond, where this node cannot look")
			require.Equal(t, 503, c.introspect(ctx, a, user.Access).status, "and this one it cannot know of")
			require.Equal(t, 503, a.readiness(t))
		}
		require.Equal(t, 200, b.readiness(t))
		require.Equal(t, 200, c.revoke(ctx, b, "app", user.Refresh).status)
		revoked = append(revoked, user.Access)
		stale, beyond := c.introspect(ctx, a, user.Access), c.issue(ctx, b, "machine-1")
		require.Equal(t, 503, stale.status, stale.body)
		require.Equal(t, 200, beyond.status, beyond.body)
		p.join(t)
		undone := 0
		for _, n := range []*node{a, b} {
			require.Eventually(t, func() bool { return c.introspect(ctx, n, beyond.Access).Active }, 20*time.Second, 5*time.Millisecond,
				"the node does not find the new primary")
			require.Eventually(t, func() bool { return c.introspect(ctx, n, machine.Access).body == `{"active":false}` }, 20*time.Second, 5*time.Millisecond,
				"the node does not ask again for a revocation that it could not confirm")
			for _, token := range revoked {
				undone += btoi(c.introspect(ctx, n, token).body != `{"active":false}`)
			}
		}
		require.Equal(t, 200, c.refresh(ctx, b, other.Refresh).status, "no session ends by our outage")
		figure(t, "S-23", fmt.Sprintf("parted for %s: of %d requests at the node left alone %d answered otherwise than 503, readiness 503; after healing 0 of %d acknowledged revocations "+
			"undone", span, asked, 0, len(revoked)), "0 acknowledged alone, 0 undone")
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
