package keys_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/keys"
)

const ringKey, leaderKey = "grantor:keys:{signing}:ring", "grantor:keys:{signing}:leader"

// TestStores holds every store that writes to the contract.
func TestStores(t *testing.T) {
	key := func(t *testing.T) keys.Key {
		s, err := fixed(t, ed(t)).Load(t.Context())
		require.NoError(t, err)
		k := s.Keys[0]
		k.Created, k.From, k.Fixed = time.UnixMilli(1_800_000_000_000), time.UnixMilli(1_800_000_000_001), true
		return k
	}
	for name, open := range map[string]func(*testing.T) keys.Store{
		"memory": func(*testing.T) keys.Store { return keys.NewMemory() },
		"redis":  func(t *testing.T) keys.Store { return keys.NewRedis(redisOf(t, redistest.Start(t)), wrap(t, secret)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, ctx := open(t), t.Context()
			empty, err := store.Load(ctx)
			require.NoError(t, err)
			require.Empty(t, empty.Revision)
			require.Empty(t, empty.Keys)
			a, b := key(t), key(t)
			require.ErrorIs(t, store.Swap(ctx, "another", []keys.Key{a}), keys.ErrOvertaken)
			require.NoError(t, store.Swap(ctx, "", []keys.Key{a}))
			require.ErrorIs(t, store.Swap(ctx, "", []keys.Key{b}), keys.ErrOvertaken)
			one, err := store.Load(ctx)
			require.NoError(t, err)
			require.Len(t, one.Keys, 1)
			same(t, a, one.Keys[0])
			require.NoError(t, store.Swap(ctx, one.Revision, []keys.Key{b, a}))
			require.ErrorIs(t, store.Swap(ctx, one.Revision, []keys.Key{a}), keys.ErrOvertaken)
			two, err := store.Load(ctx)
			require.NoError(t, err)
			require.NotEqual(t, one.Revision, two.Revision)
			same(t, b, two.Keys[0])
			same(t, a, two.Keys[1])

			for _, step := range []struct {
				holder string
				want   bool
			}{{"a", true}, {"a", true}, {"b", false}, {"a", true}} {
				leads, err := store.Lease(ctx, step.holder, time.Hour)
				require.NoError(t, err)
				require.Equal(t, step.want, leads)
			}
			leads, err := store.Lease(ctx, "a", 20*time.Millisecond)
			require.NoError(t, err)
			require.True(t, leads)
			require.Eventually(t, func() bool { leads, err := store.Lease(ctx, "b", time.Hour); return err == nil && leads }, 20*time.Second, 5*time.Millisecond,
				"a lease that is not renewed ends")
		})
	}
}

func same(t *testing.T, want, got keys.Key) {
	t.Helper()
	require.Equal(t, want.ID, got.ID)
	require.True(t, want.Created.Equal(got.Created) && want.From.Equal(got.From) && want.Fixed == got.Fixed)
	require.True(t, want.Until.Equal(got.Until) && want.Gone.Equal(got.Gone))
	require.True(t, want.Private.(ed25519.PrivateKey).Equal(got.Private))
}

func TestManyNodes(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	const nodes = 8
	rings := make([]*keys.Ring, nodes)
	stores := make([]*keys.Redis, nodes)
	for i := range nodes {
		stores[i] = keys.NewRedis(redisOf(t, s), wrap(t, secret))
	}
	cfg := func(i int) keys.Config { return config(stores[i], keys.EdDSA, keys.ES256) }
	together(nodes, func(i int) error {
		var err error
		rings[i], err = keys.Open(t.Context(), cfg(i))
		return err
	}, t)
	agree := func(t *testing.T) {
		t.Helper()
		for _, alg := range []keys.Algorithm{keys.EdDSA, keys.ES256} {
			token := sign(t, rings[0], alg)
			for i, r := range rings {
				require.Equal(t, kids(jwks(t, rings[0])), kids(jwks(t, r)), "node %d", i)
				require.Equal(t, kidOf(t, token), kidOf(t, sign(t, r, alg)))
				require.NoError(t, get(r.Verify(token, atJWT)))
			}
		}
	}
	t.Run("JK-04 8 that start at one moment make one set of keys", func(t *testing.T) {
		agree(t)
		require.Len(t, jwks(t, rings[0]).Keys, 4)
	})
	t.Run("8 that rotate at one moment agree", func(t *testing.T) {
		together(nodes, func(i int) error { return get2(keys.Rotate(context.Background(), stores[i], cfg(i), i%2 == 0)) }, t)
		for i := range rings {
			rings[i] = open(t, cfg(i))
		}
		agree(t)
		require.Len(t, jwks(t, rings[0]).Keys, 4)
	})
	t.Run("a process that shares only the store rotates, and all nodes follow", func(t *testing.T) {
		for _, r := range rings {
			run(t, r)
		}
		cli := keys.NewRedis(redisOf(t, s), wrap(t, secret))
		before, err := keys.List(t.Context(), cli)
		require.NoError(t, err)
		require.NoError(t, get2(keys.Rotate(t.Context(), cli, config(cli, keys.EdDSA, keys.ES256), true)))
		after, err := keys.List(t.Context(), cli)
		require.NoError(t, err)
		require.NotEqual(t, before, after)
		want := current(t, after, keys.ES256).KeyID
		require.Eventually(t, func() bool {
			for _, r := range rings {
				if current(t, r.List(), keys.ES256).KeyID != want {
					return false
				}
			}
			return true
		}, 30*time.Second, 50*time.Millisecond)
		agree(t)
		leader := s.Client().Get(t.Context(), leaderKey).Val()
		require.NotEmpty(t, leader, "one of them leads")
	})
	t.Run("every key in Redis has a lifetime, which use renews", func(t *testing.T) {
		c, ctx := s.Client(), t.Context()
		require.ElementsMatch(t, []string{ringKey, leaderKey}, c.Keys(ctx, "*").Val())
		require.LessOrEqual(t, c.PTTL(ctx, leaderKey).Val(), 15*time.Second)
		require.Greater(t, c.PTTL(ctx, ringKey).Val(), 399*24*time.Hour)
		require.NoError(t, c.Expire(ctx, ringKey, time.Hour).Err())
		require.NoError(t, rings[0].Rotate(ctx, false))
		require.Greater(t, c.PTTL(ctx, ringKey).Val(), 399*24*time.Hour)
		require.NoError(t, c.Expire(ctx, ringKey, time.Hour).Err())
		_, err := stores[0].Load(ctx)
		require.NoError(t, err)
		require.Greater(t, c.PTTL(ctx, ringKey).Val(), 399*24*time.Hour)
	})
}

// together calls f for 0 to n-1 at one moment; none may fail.
func together(n int, f func(int) error, t testing.TB) {
	t.Helper()
	var begin, end sync.WaitGroup
	begin.Add(1)
	errs := make([]error, n)
	for i := range n {
		end.Go(func() { begin.Wait(); errs[i] = f(i) })
	}
	begin.Done()
	end.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

func TestDump(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--rdbcompression", "no")
	store, ctx := keys.NewRedis(redisOf(t, s), wrap(t, secret)), t.Context()
	open(t, config(store, keys.Algorithms()...))
	c := s.Client()
	require.NoError(t, c.Save(ctx).Err())
	dump, err := os.ReadFile(filepath.Join(s.Dir, "dump.rdb"))
	require.NoError(t, err)
	require.Contains(t, string(dump), ringKey)
	state, err := store.Load(ctx)
	require.NoError(t, err)
	require.Len(t, state.Keys, 6)
	for _, k := range state.Keys {
		require.Contains(t, string(dump), k.ID)
		for _, part := range private(t, k.Private) {
			for _, text := range [][]byte{part, []byte(hex.EncodeToString(part)), []byte(base64.RawStdEncoding.EncodeToString(part)),
				[]byte(base64.RawURLEncoding.EncodeToString(part))} {
				require.False(t, bytes.Contains(dump, text), "V-24 a dump alone forges nothing: %s", k)
			}
		}
	}
	for _, text := range []string{secret, "PRIVATE KEY"} {
		require.NotContains(t, string(dump), text)
	}
}

// private is what nobody may see of a key.
func private(t *testing.T, k crypto.Signer) (parts [][]byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	parts = append(parts, der)
	switch k := k.(type) {
	case ed25519.PrivateKey:
		return append(parts, k.Seed())
	case *ecdsa.PrivateKey:
		d, err := k.Bytes()
		require.NoError(t, err)
		return append(parts, d)
	case *rsa.PrivateKey:
		return append(parts, k.D.Bytes(), k.Primes[0].Bytes(), k.Primes[1].Bytes())
	}
	t.Fatal("unknown kind")
	return nil
}

func TestEncryptionKey(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), t.Context()
	c := s.Client()
	store := func(w *keys.Wrap) *keys.Redis { return keys.NewRedis(redisOf(t, s), w) }
	first := store(wrap(t, older))
	node := open(t, config(first))
	token := sign(t, node, keys.EdDSA)
	held := func() string { return fmt.Sprint(c.HGetAll(ctx, ringKey).Val()) }

	t.Run("a wrong one is an error that names it, and changes nothing", func(t *testing.T) {
		before := held()
		wrong := store(wrap(t, secret))
		for _, err := range []error{
			get2(keys.Open(ctx, config(wrong))),
			get2(keys.List(ctx, wrong)),
			get2(keys.Rotate(ctx, wrong, config(wrong), false)),
			get2(keys.Rotate(ctx, wrong, config(wrong), true)),
		} {
			require.ErrorIs(t, err, keys.ErrEncryptionKey)
			require.ErrorContains(t, err, "[keys] encryption_key")
			require.ErrorContains(t, err, ringKey)
		}
		require.Equal(t, before, held())
	})
	t.Run("a previous one opens, and the leader writes under the newest", func(t *testing.T) {
		before := held()
		stop := run(t, open(t, config(store(wrap(t, secret, older)))))
		require.Eventually(t, func() bool { return held() != before }, 30*time.Second, 20*time.Millisecond)
		stop()
		after := open(t, config(store(wrap(t, secret))))
		require.NoError(t, get(after.Verify(token, atJWT)), "the same keys")
		_, err := keys.Open(ctx, config(store(wrap(t, older))))
		require.ErrorIs(t, err, keys.ErrEncryptionKey)
	})
	t.Run("a node that still has the older one runs on, and neither leads nor writes", func(t *testing.T) {
		c.Del(ctx, leaderKey)
		require.NoError(t, get(node.Verify(token, atJWT)))
		_, err := first.Load(ctx)
		require.NoError(t, err)
		leads, err := first.Lease(ctx, "it", time.Minute)
		require.NoError(t, err)
		require.False(t, leads)
		require.ErrorIs(t, node.Rotate(ctx, true), keys.ErrEncryptionKey)
		require.NoError(t, get(node.Verify(token, atJWT)))
		require.NoError(t, open(t, config(store(wrap(t, secret)))).Rotate(ctx, true))
		_, err = first.Load(ctx)
		require.ErrorIs(t, err, keys.ErrEncryptionKey, "of new keys it knows nothing")
	})
	t.Run("what another version or hand has written", func(t *testing.T) {
		right := store(wrap(t, secret))
		good := c.HGet(ctx, ringKey, "record").Val()
		for i, text := range []string{"", "{", `{"v":2,"keys":[]}`, strings.Replace(good, `"alg":"EdDSA"`, `"alg":"ES256"`, 1)} {
			require.NoError(t, c.HSet(ctx, ringKey, "record", text, "revision", strconv.Itoa(i)).Err())
			_, err := keys.Open(ctx, config(right))
			require.Error(t, err)
			require.Equal(t, text, c.HGet(ctx, ringKey, "record").Val(), "never overwritten")
		}
	})
}

func get2[T any](_ T, err error) error { return err }

func TestClocks(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), t.Context()
	var jump time.Duration
	cfg := func(off time.Duration) keys.Config {
		cfg := config(keys.NewRedis(redisOf(t, s), wrap(t, secret)))
		cfg.Now = func() time.Time { return time.Now().Add(off + jump) }
		return cfg
	}
	early, late := open(t, cfg(-40*time.Second)), open(t, cfg(40*time.Second))
	require.NoError(t, late.Rotate(ctx, false))
	require.NoError(t, early.Rotate(ctx, false))
	now := s.Client().Time(ctx).Val()
	t.Run("S-27 a node's clock that is off changes nothing: times are Redis's", func(t *testing.T) {
		require.Equal(t, early.List(), late.List())
		first := current(t, late.List(), keys.EdDSA)
		require.WithinRange(t, *first.CreatedAt, now.Add(-20*time.Second), now)
		require.WithinRange(t, *first.UseUntil, now.Add(ahead-20*time.Second), now.Add(ahead+staleAfter))
		require.NoError(t, get(early.Verify(sign(t, late, keys.EdDSA), atJWT)))
		require.NoError(t, get(late.Verify(sign(t, early, keys.EdDSA), atJWT)))
	})
	t.Run("S-27 a clock that jumps by an hour under a running node", func(t *testing.T) {
		for _, jump = range []time.Duration{time.Hour, 0, -time.Hour} {
			require.NoError(t, early.Ready())
			require.Equal(t, "current", early.List()[0].State)
			require.NoError(t, get(late.Verify(sign(t, early, keys.EdDSA), atJWT)))
		}
	})
}

func TestFirstWrite(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), t.Context()
	private, err := fixed(t, ed(t)).Load(ctx)
	require.NoError(t, err)
	require.NoError(t, keys.NewRedis(redisOf(t, s), wrap(t, secret)).Swap(ctx, "", private.Keys))
	require.Greater(t, s.Client().PTTL(ctx, ringKey).Val(), 399*24*time.Hour, "no key is without a lifetime for a moment")
}

func TestLostKeys(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), t.Context()
	a, b := open(t, config(keys.NewRedis(redisOf(t, s), wrap(t, secret)))), open(t, config(keys.NewRedis(redisOf(t, s), wrap(t, secret))))
	token, before := sign(t, a, keys.EdDSA), a.List()
	for range 3 {
		require.NoError(t, s.Client().FlushAll(ctx).Err())
		require.NoError(t, a.Follow(ctx), "S-21 a node gives the store the keys that it knows")
		require.NoError(t, b.Follow(ctx))
		for _, r := range []*keys.Ring{a, b, open(t, config(keys.NewRedis(redisOf(t, s), wrap(t, secret))))} {
			require.NoError(t, r.Ready())
			require.Equal(t, before, r.List(), "no verifier needs another JWKS")
			require.NoError(t, get(r.Verify(token, atJWT)))
			require.NoError(t, get(a.Verify(sign(t, r, keys.EdDSA), atJWT)))
		}
		require.Greater(t, s.Client().PTTL(ctx, ringKey).Val(), 399*24*time.Hour)
	}
	require.NoError(t, s.Client().FlushAll(ctx).Err())
	run(t, a)
	require.Eventually(t, func() bool { return s.Client().Exists(ctx, ringKey).Val() == 1 }, 30*time.Second, 20*time.Millisecond, "by itself")
}

func TestDurability(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), t.Context()
	replica := s.AddReplica()
	db, err := redisdb.Open(redisdb.Config{URL: s.URL, WaitReplicas: 1, WaitTimeout: 50 * time.Millisecond})
	require.NoError(t, err)
	defer db.Close()
	store := keys.NewRedis(db, wrap(t, secret))
	replica.Pause()
	r := open(t, config(store))
	before := sign(t, r, keys.EdDSA)
	require.ErrorIs(t, r.Rotate(ctx, true), redisdb.ErrNotDurable, "S-22 what a failover may undo is not called done")
	require.ErrorIs(t, get(r.Verify(before, atJWT)), keys.ErrNotOurs, "but it counts")
	replica.Resume()
	require.Eventually(t, func() bool { return r.Rotate(ctx, true) == nil }, 20*time.Second, 20*time.Millisecond)
}
