package keys_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/keys"
)

func TestRotationSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(keys.NewMemory())
		cfg.RotateEvery = time.Hour
		r := open(t, cfg)
		defer run(t, r)()
		published, firstUse, lastUse, gone := map[string]time.Time{}, map[string]time.Time{}, map[string]time.Time{}, map[string]time.Time{}
		var order []string
		for begun := time.Now(); time.Since(begun) < 4*time.Hour; time.Sleep(15 * time.Second) {
			now, used := time.Now(), kidOf(t, sign(t, r, keys.EdDSA))
			have := kids(jwks(t, r))
			for _, kid := range have {
				require.Zero(t, gone[kid], "JK-04 a key does not come back")
				if published[kid].IsZero() {
					published[kid] = now
				}
			}
			for kid := range published {
				if !slices.Contains(have, kid) && gone[kid].IsZero() {
					gone[kid] = now
				}
			}
			require.Contains(t, have, used)
			if firstUse[used].IsZero() {
				firstUse[used], order = now, append(order, used)
			}
			lastUse[used] = now
		}
		require.Len(t, order, 4, "one an hour")
		for i, kid := range order {
			if i > 0 {
				require.GreaterOrEqual(t, firstUse[kid].Sub(published[kid]), ahead, "JK-04 published a cache time before its first use")
				require.InDelta(t, time.Hour, firstUse[kid].Sub(firstUse[order[i-1]]), float64(20*time.Second))
			}
			if i < len(order)-1 {
				require.Greater(t, gone[kid].Sub(lastUse[kid]), life+time.Minute, "JK-04 stays until its last token is dead")
				require.Less(t, gone[kid].Sub(lastUse[kid]), life+2*time.Minute, "V-24 and no longer")
			}
		}
	})
}

func TestRetiredKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, config(keys.NewMemory()))
		stop := run(t, r)
		time.Sleep(time.Hour)
		token := sign(t, r, keys.EdDSA)
		require.Equal(t, []string{"current", "next"}, states(r.List()))
		require.NoError(t, r.Rotate(t.Context(), false))
		require.NotEqual(t, kidOf(t, token), kidOf(t, sign(t, r, keys.EdDSA)), "what is next is used at once")
		require.Equal(t, []string{"retired", "current", "next"}, states(r.List()))
		time.Sleep(life + time.Minute)
		_, err := r.Verify(token, atJWT)
		require.NoError(t, err)
		require.True(t, verifies(jwks(t, r), token))
		stop() // that it ends is not the leader's doing
		_, before := r.JWKS()
		time.Sleep(staleAfter + time.Second)
		_, err = r.Verify(token, atJWT)
		require.ErrorIs(t, err, keys.ErrNotOurs, "V-24 a retired key past its end")
		require.False(t, verifies(jwks(t, r), token))
		_, after := r.JWKS()
		require.NotEqual(t, before, after)
		require.Equal(t, []string{"current", "next"}, states(r.List()))
	})
}

const staleAfter = 30 * time.Second

func TestRotate(t *testing.T) {
	t.Run("JK-04 what was published just now is not used at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cfg := config(keys.NewMemory())
			r := open(t, cfg)
			defer run(t, r)()
			first := kidOf(t, sign(t, r, keys.EdDSA))
			require.NoError(t, r.Rotate(t.Context(), false))
			asked := time.Now()
			require.NoError(t, r.Rotate(t.Context(), false), "to ask twice changes nothing")
			var changed time.Time
			for changed.IsZero() {
				time.Sleep(time.Second)
				if kidOf(t, sign(t, r, keys.EdDSA)) != first {
					changed = time.Now()
				}
			}
			require.InDelta(t, ahead+staleAfter, changed.Sub(asked), float64(2*time.Second))
		})
	})
	t.Run("compromised: nothing of before counts, at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cfg := config(keys.NewMemory(), keys.EdDSA, keys.ES256)
			r, other := open(t, cfg), open(t, cfg)
			defer run(t, r)()
			defer run(t, other)()
			time.Sleep(time.Hour)
			require.NoError(t, r.Rotate(t.Context(), false))
			before, tokens := kids(jwks(t, r)), []string{sign(t, r, keys.EdDSA), sign(t, r, keys.ES256)}
			require.Len(t, before, 6)
			require.NoError(t, get2(keys.Rotate(t.Context(), cfg.Store, cfg, true)))
			require.NoError(t, r.Rotate(t.Context(), true))
			after := sign(t, r, keys.ES256)
			require.NoError(t, get(other.Verify(after, atJWT)), "a node that has not heard of it asks")
			time.Sleep(3 * time.Second)
			for _, node := range []*keys.Ring{r, other} {
				for _, token := range tokens {
					require.ErrorIs(t, get(node.Verify(token, atJWT)), keys.ErrNotOurs)
				}
				require.Empty(t, intersect(before, kids(jwks(t, node))))
				require.True(t, verifies(jwks(t, node), after))
				current(t, node.List(), keys.EdDSA)
			}
		})
	})
	t.Run("a configuration that cannot work", func(t *testing.T) {
		for want, spoil := range map[string]func(*keys.Config){
			"a store":     func(c *keys.Config) { c.Store = nil },
			"algorithm":   func(c *keys.Config) { c.Algorithms = nil },
			"longest TTL": func(c *keys.Config) { c.MaxTokenTTL = 0 },
			"longer than": func(c *keys.Config) { c.RotateEvery = 5 * time.Minute },
			"negative":    func(c *keys.Config) { c.PublishAhead = -1 },
		} {
			cfg := config(keys.NewMemory())
			spoil(&cfg)
			_, err := keys.Open(t.Context(), cfg)
			require.ErrorContains(t, err, want)
			if cfg.Store != nil {
				require.ErrorContains(t, get2(keys.Rotate(t.Context(), cfg.Store, cfg, false)), want)
			}
		}
	})
}

func get(_ []byte, err error) error { return err }

func intersect(a, b []string) (both []string) {
	for _, x := range a {
		if slices.Contains(b, x) {
			both = append(both, x)
		}
	}
	return both
}

func TestAlgorithmsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(keys.NewMemory())
		cfg.RotateEvery = time.Hour
		stop := run(t, open(t, cfg))
		time.Sleep(time.Minute)
		stop()
		cfg.Algorithms = []keys.Algorithm{keys.ES256}
		r := open(t, cfg)
		defer run(t, r)()
		sign(t, r, keys.ES256)
		time.Sleep(30 * time.Minute)
		token := sign(t, r, keys.EdDSA) // as a node would that has the old configuration
		time.Sleep(40 * time.Minute)
		_, err := r.Sign(keys.EdDSA, atJWT, claims)
		require.Error(t, err, "its key is not followed by another")
		require.True(t, verifies(jwks(t, r), token))
		time.Sleep(life)
		for _, i := range r.List() {
			require.Equal(t, keys.ES256, i.Algorithm)
		}
	})
}

// counting counts what is written.
type counting struct {
	keys.Store
	swaps atomic.Int64
}

func (c *counting) Swap(ctx context.Context, revision string, k []keys.Key) error {
	c.swaps.Add(1)
	return c.Store.Swap(ctx, revision, k)
}

func TestLeader(t *testing.T) {
	t.Run("one node at a time carries out the schedule, and another takes over", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			memory := keys.NewMemory()
			node := func(every time.Duration) (*counting, func()) {
				store := &counting{Store: memory}
				cfg := config(store)
				cfg.RotateEvery = every
				stop := run(t, open(t, cfg))
				synctest.Wait()
				return store, stop
			}
			leader, stop := node(time.Hour)
			first := leader.swaps.Load()
			follower, end := node(2 * time.Hour) // it is of another mind
			defer end()
			time.Sleep(30 * time.Minute)
			require.Equal(t, first, leader.swaps.Load())
			require.Zero(t, follower.swaps.Load())
			stop()
			time.Sleep(20 * time.Second)
			require.EqualValues(t, 1, follower.swaps.Load())
			time.Sleep(100 * time.Minute)
			require.Greater(t, follower.swaps.Load(), int64(1), "and rotates")
		})
	})
	t.Run("a node that starts changes nothing while there are keys", func(t *testing.T) {
		cfg := config(keys.NewMemory())
		cfg.RotateEvery = time.Hour
		before := open(t, cfg).List()
		cfg.RotateEvery = 24 * time.Hour
		require.Equal(t, before, open(t, cfg).List())
	})
}

// verifier is a resource server that keeps the JWKS for five minutes.
type verifier struct {
	set     jose.JSONWebKeySet
	fetched time.Time
}

func (v *verifier) check(t testing.TB, from *keys.Ring, token string) bool {
	if v.fetched.IsZero() || time.Since(v.fetched) >= ahead {
		v.set, v.fetched = jwks(t, from), time.Now()
	}
	return verifies(v.set, token)
}

func TestRotationUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := keys.NewMemory()
		var nodes []*keys.Ring
		for i := range 3 {
			cfg := config(store, keys.ES256)
			cfg.RotateEvery = 20 * time.Minute
			cfg.Now = func() time.Time { return time.Now().Add(time.Duration(i) * 100 * time.Millisecond) }
			nodes = append(nodes, open(t, cfg))
			defer run(t, nodes[i])()
		}
		verifiers := make([]verifier, 5)
		type issued struct {
			token string
			until time.Time
		}
		var live []issued
		used, checked := map[string]bool{}, 0
		for step := range 3 * 60 * 2 { // three hours
			for _, node := range nodes {
				token := sign(t, node, keys.ES256)
				used[kidOf(t, token)] = true
				live = append(live, issued{token, time.Now().Add(life)})
			}
			if step%83 == 82 { // now and then an operator rotates, too
				require.NoError(t, nodes[step%3].Rotate(t.Context(), false))
			}
			live = slices.DeleteFunc(live, func(i issued) bool { return time.Now().After(i.until) })
			for i := range verifiers {
				for _, token := range []string{live[0].token, live[len(live)-1-step%3].token} {
					require.True(t, verifiers[i].check(t, nodes[(i+step)%3], token), "S-63 at step %d", step)
					require.NoError(t, get(nodes[i%3].Verify(token, atJWT)))
					checked++
				}
			}
			time.Sleep(30 * time.Second)
		}
		require.Greater(t, len(used), 8)
		t.Logf("S-63: %d keys in three hours on 3 nodes, %d verifications by 5 verifiers with a JWKS of up to %s: 0 failed", len(used), checked, ahead)
	})
}

func TestRotationIsTold(t *testing.T) {
	t.Run("S-33 each rotation is reported once, by the leader alone, whoever asked for it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var list []keys.Activation
			told := func() []keys.Activation {
				mu.Lock()
				defer mu.Unlock()
				return slices.Clone(list)
			}
			cfg := config(keys.NewMemory())
			cfg.RotateEvery = time.Hour
			cfg.Rotated = func(r keys.Activation) {
				mu.Lock()
				defer mu.Unlock()
				list = append(list, r)
			}
			a, b := open(t, cfg), open(t, cfg)
			defer run(t, a)()
			defer run(t, b)()
			time.Sleep(3*time.Hour + 30*time.Minute)
			require.Len(t, told(), 3)
			for _, r := range told() {
				require.True(t, r.Scheduled)
				require.NotEmpty(t, r.KeyID)
				require.Equal(t, keys.EdDSA, r.Algorithm)
			}
			require.NoError(t, b.Rotate(t.Context(), false))
			time.Sleep(10 * time.Second)
			require.Len(t, told(), 4)
			require.False(t, told()[3].Scheduled)
			require.NoError(t, get2(keys.Rotate(t.Context(), cfg.Store, cfg, true)))
			time.Sleep(10 * time.Second)
			require.Len(t, told(), 5, "a compromised key's place is taken too")
		})
	})
}
