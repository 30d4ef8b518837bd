package redisdb_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func fill(t *testing.T, db *redisdb.DB, keys int) {
	t.Helper()
	for _, err := range inParallel(64, func(worker int) error {
		for i := worker; i < keys; i += 64 {
			if err := db.Set(t.Context(), fmt.Sprint(i), []byte(fmt.Sprint(i)), time.Hour); err != nil {
				return err
			}
		}
		return nil
	}) {
		require.NoError(t, err)
	}
}

func TestClusterResharding(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t, 3)
	from, to := c.Servers[0], c.AddEmpty()
	db := open(t, redisdb.Config{Mode: redisdb.Cluster, Addrs: c.Addrs[1:2], WaitReplicas: 1})
	ctx := t.Context()
	const key = "1234"
	require.NoError(t, db.Set(ctx, "x{1234}", []byte("x"), time.Hour))
	slot := c.Slot(key)
	for _, s := range c.Servers {
		if len(s.Client().ClusterGetKeysInSlot(ctx, slot, 1).Val()) == 1 {
			from = s
		}
	}
	everything := func(t *testing.T) {
		require.NoError(t, db.Set(ctx, key, []byte("v"), time.Hour))
		v, err := db.Get(ctx, key)
		require.NoError(t, err)
		require.Equal(t, "v", string(v))
		n, err := db.DelDurable(ctx, key)
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		for want := 1; want <= 2; want++ {
			n, err := db.Once(ctx, incr, []string{key})
			require.NoError(t, err)
			require.EqualValues(t, want, n, "counted once, where it is")
		}
		_, err = db.Del(ctx, key)
		require.NoError(t, err)
		require.NoError(t, db.Each(ctx, []string{"x{1234}"}, func(_ int, v []byte) { require.Equal(t, "x", string(v)) }))
	}
	t.Run("at rest", everything)
	c.BeginMove(slot, from, to)
	t.Run("ASK: the key is already elsewhere", everything)
	c.MoveKeys(slot, from, to)
	c.EndMove(slot, from, to)
	t.Run("MOVED: so is the slot", everything)
}

func TestClusterReshardingUnderLoad(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t, 3)
	to := c.AddEmpty()
	db := open(t, redisdb.Config{Mode: redisdb.Cluster, Addrs: c.Addrs[:1]})
	const keys = 2000
	fill(t, db, keys)
	var moving sync.WaitGroup
	moving.Go(func() {
		for slot := range 100 {
			c.BeginMove(slot, c.Servers[0], to)
			c.MoveKeys(slot, c.Servers[0], to)
			c.EndMove(slot, c.Servers[0], to)
		}
	})
	wrong, failed, right := hammer(db, 64*1000, keys)
	moving.Wait()
	t.Logf("S-24: %d right, %d refused, %d wrong", right, failed, wrong)
	require.Zero(t, wrong, "S-24")
	require.Less(t, failed, right/100)
}

func TestClusterMovesConfirmedWrites(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t, 3)
	for _, primary := range c.Servers[:3] {
		c.AddReplica(primary)
	}
	db := open(t, redisdb.Config{Mode: redisdb.Cluster, Addrs: c.Addrs[:1], WaitReplicas: 1})
	t.Run("S-24 a slot that is being moved can be moved to its end while writes in it are confirmed on both sides", func(t *testing.T) {
		slot := c.Slot("{a}1")
		from, to := c.Servers[0], c.Servers[1]
		if slot > 5460 {
			from, to = c.Servers[1], c.Servers[2]
		}
		if slot > 10922 {
			from, to = c.Servers[2], c.Servers[0]
		}
		require.NoError(t, db.Set(t.Context(), "{a}1", []byte("v"), time.Minute))
		_, err := db.DelDurable(t.Context(), "{a}1") // its marker is on the exporting side
		require.NoError(t, err)
		c.BeginMove(slot, from, to)
		_, err = db.DelDurable(t.Context(), "{a}2") // ASK: its marker is on the importing side
		require.NoError(t, err)
		c.MoveKeys(slot, from, to) // BUSYKEY fails here
		c.EndMove(slot, from, to)
		_, err = db.DelDurable(t.Context(), "{a}2")
		require.NoError(t, err)
	})
}

func TestClusterLosesAPrimary(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t, 3)
	for _, primary := range c.Servers[:3] {
		c.AddReplica(primary)
	}
	db := open(t, redisdb.Config{Mode: redisdb.Cluster, Addrs: c.Addrs[:1], WaitReplicas: 1})
	const keys = 300
	fill(t, db, keys)
	lost := c.Servers[0] // the seed, too
	of := func(key string) bool { return c.Slot(key) < 5461 }
	lostKeys := map[string]bool{}
	for i := range keys {
		lostKeys[fmt.Sprint(i)] = of(fmt.Sprint(i))
	}
	_, err := db.DelDurable(t.Context(), "{0}x")
	require.NoError(t, err)
	lost.Stop()
	begun := time.Now()
	refused, longest := 0, time.Duration(0)
	for time.Since(begun) < 12*time.Second {
		round := 0
		for i := range keys {
			key := fmt.Sprint(i)
			v, err := db.Get(t.Context(), key)
			if err == nil {
				require.Equal(t, key, string(v), "S-24 nothing wrong, nothing forgotten")
				continue
			}
			require.ErrorIs(t, err, redisdb.ErrUnavailable)
			require.True(t, lostKeys[key], "S-24 only the slots of the lost server suffer: %v", err)
			round++
			longest = time.Since(begun)
		}
		refused += round
		require.NoError(t, db.Ping(t.Context()), "the cluster as a whole is alive")
		if round == 0 && refused > 0 {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Logf("S-24: %d refused in %s", refused, longest.Round(time.Millisecond))
	require.Positive(t, refused)
	require.Less(t, longest, time.Second+5*time.Second, "S-24 node-timeout + 5 s")
	require.Eventually(t, func() bool { _, err := db.DelDurable(t.Context(), "1"); return err == nil }, 3*time.Second, 20*time.Millisecond)
}

func TestClusterByName(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"unknown-endpoint", "hostname"} {
		t.Run("cluster-preferred-endpoint-type "+kind, func(t *testing.T) {
			c := redistest.Cluster(t, 3, "--cluster-preferred-endpoint-type", kind)
			if kind == "hostname" { // the third has none: "?"
				for _, s := range c.Servers[:2] {
					require.NoError(t, s.Client().ConfigSet(t.Context(), "cluster-announce-hostname", "localhost").Err())
				}
				require.Eventually(t, func() bool {
					return strings.Count(fmt.Sprint(c.Servers[2].Client().Do(t.Context(), "cluster", "slots").Val()), "localhost") == 2
				}, 5*time.Second, 10*time.Millisecond)
			}
			db := open(t, redisdb.Config{Mode: redisdb.Cluster, Addrs: c.Addrs[2:]})
			fill(t, db, 100)
			for i := range 100 {
				v, err := db.Get(t.Context(), fmt.Sprint(i))
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint(i), string(v))
			}
			for slot := range 20 { // the first has them: MOVED without a name or with one
				c.BeginMove(slot, c.Servers[0], c.Servers[1])
				c.MoveKeys(slot, c.Servers[0], c.Servers[1])
				c.EndMove(slot, c.Servers[0], c.Servers[1])
			}
			fill(t, db, 2000)
		})
	}
}
