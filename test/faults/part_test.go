package faults_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestPartOfCluster loses a primary for good and asks for what the others hold.
func TestPartOfCluster(t *testing.T) {
	t.Run("S-24 a lost node of a Cluster costs its own slots, and not the whole service after 2 s", func(t *testing.T) {
		c := redistest.Cluster(t, 3)
		d := deploy(t, cluster(c.Addrs, 0))
		machine, lost := d.parted(t, c)
		n, ask, ctx := d.serve(t), newCaller(d), context.Background()
		var held []string
		for range 60 {
			held = append(held, ask.issue(ctx, n, machine).Access)
		}
		lost.Kill()
		time.Sleep(4 * time.Second) // the epochs of the lost node are older than 2 s by now
		active, refused := 0, 0
		for _, token := range held {
			a := ask.introspect(ctx, n, token)
			active += btoi(a.Active)
			refused += btoi(a.status == 503)
		}
		require.Equal(t, len(held), active+refused)
		require.Positive(t, refused)
		require.Greater(t, active, len(held)/3)
	})
}

// TestHalfOfTheCounters loses a primary that has some users' counters, but not that of the address
// they share.
func TestHalfOfTheCounters(t *testing.T) {
	t.Run("S-24 V-03 logins that a lost node makes fail lock nobody out", func(t *testing.T) {
		c := redistest.Cluster(t, 3)
		d := deploy(t, cluster(c.Addrs, 0))
		n, ask, ctx := d.serve(t), newCaller(d), context.Background()
		address := lockout.SubjectOf("password.address", "127.0.0.1")
		holder := c.Slot("grantor:e:"+string(address[:])) * len(c.Servers) / 16384
		c.Servers[(holder+1)%len(c.Servers)].Kill()
		seen := map[int]int{}
		for begun, i := time.Now(), 0; time.Since(begun) < 1500*time.Millisecond; i++ {
			seen[ask.login(ctx, n, fmt.Sprintf("user-%d", i%d.users)).status]++
		}
		require.Positive(t, seen[200])
		require.Greater(t, seen[503], 50, "the fault was not felt")
		require.Zero(t, seen[429], "an address was locked: %v", seen)
		require.Zero(t, seen[400], "a user was locked: %v", seen)
	})
}

// TestLostCounts loses the answers to the counting of logins twice, then asks whether people may
// log in.
func TestLostCounts(t *testing.T) {
	t.Run("S-20 V-03 logins whose counting was not answered lock nobody out for longer than a login lasts", func(t *testing.T) {
		p := newProxy(t, redistest.Start(t).Addr)
		d := deploy(t, single(p.Addr))
		n, c, ctx := d.serve(t), newCaller(d), context.Background()
		for range 2 {
			require.Eventually(t, func() bool { return c.login(ctx, n, "user-0").status == 200 }, 10*time.Second, 10*time.Millisecond)
			p.swallow.Store(true)
			var all sync.WaitGroup
			for i := range 80 {
				all.Go(func() { c.login(ctx, n, fmt.Sprintf("user-%d", i%d.users)) })
			}
			all.Wait()
			p.swallow.Store(false)
			p.cut()
		}
		require.Eventually(t, func() bool { return c.issue(ctx, n, "machine-0").status == 200 }, 10*time.Second, 10*time.Millisecond)
		// What was counted without an answer counts for ten seconds, as if it were still under way,
		// and not for limits.window.
		for i := range d.users {
			require.Eventually(t, func() bool { return c.login(ctx, n, fmt.Sprintf("user-%d", i)).status == 200 }, 15*time.Second, 100*time.Millisecond, "user-%d", i)
		}
	})
}

// parted returns a machine, and a primary that has the epoch of another client but neither that
// machine's nor the resource server's.
func (d *deployment) parted(t *testing.T, c *redistest.Nodes) (machine string, lost *redistest.Server) {
	t.Helper()
	holder := func(client string) int {
		sum := sha256.Sum256([]byte(client))
		return c.Slot("grantor:c:"+string(sum[:16])) * len(c.Servers) / 16384
	}
	for _, other := range append([]string{"app"}, d.machines...) {
		for _, machine := range d.machines {
			if at := holder(other); at != holder("api") && at != holder(machine) {
				return machine, c.Servers[at]
			}
		}
	}
	t.Fatal("the clients' epochs are all with one primary")
	return "", nil
}
