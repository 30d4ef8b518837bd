package clients_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// registry is a node: its own connections to one Redis.
type registry struct {
	db      *redisdb.DB
	live    *clients.Cached
	manager *clients.Manager
}

func catalogue(t *testing.T) *scopes.Catalogue {
	c, err := scopes.NewCatalogue(map[string]scopes.Scope{"orders:read": {}, "orders:write": {}})
	require.NoError(t, err)
	return c
}

// node opens a registry and follows its feed until the test ends.
func node(t *testing.T, url string, static ...*clients.Client) *registry {
	return nodeOn(t, open(t, url), static...)
}

func open(t *testing.T, url string) *redisdb.DB {
	return openWith(t, redisdb.Config{URL: url})
}

func openWith(t *testing.T, c redisdb.Config) *redisdb.DB {
	c.Prefix, c.Timeout = "test:", 300*time.Millisecond
	db, err := redisdb.Open(c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// nodeOf is a node behind Sentinels.
func nodeOf(t *testing.T, s *redistest.Sentinels) *registry {
	return nodeOn(t, openWith(t, redisdb.Config{Mode: redisdb.Sentinel, Addrs: s.Addrs, Master: redistest.MasterName, WaitReplicas: 1}))
}

func nodeOn(t *testing.T, db *redisdb.DB, static ...*clients.Client) *registry {
	store := tokens.NewRedis(db)
	st, err := clients.NewConfigured(t.Context(), static, store)
	require.NoError(t, err)
	live, err := clients.NewCached(t.Context(), st, clients.NewRedis(db), 100)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); live.Run(ctx, slog.New(slog.DiscardHandler)) }()
	go st.Run(ctx, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { cancel(); <-done })
	return &registry{db, live, &clients.Manager{Redis: clients.NewRedis(db), Node: live, Configured: static, Epochs: store, Catalogue: catalogue(t), MaxTTL: 90 * 24 * time.Hour}}
}

func machine(id string) *clients.Stored {
	return &clients.Stored{Registration: clients.Registration{ID: id, Grants: []string{"client_credentials"}, Scope: "orders:read",
		Secrets: []clients.Secret{{Hash: clients.HashSecret("secret of " + id)}}}}
}

// soon waits for what must hold within a second on every node.
func soon(t *testing.T, what func() bool) {
	require.Eventually(t, what, 5*time.Second, 20*time.Millisecond)
}

func TestLive(t *testing.T) {
	srv := redistest.Start(t)
	fixed := &clients.Client{Registration: clients.Registration{ID: "fixed", Grants: []string{"client_credentials"}, Secrets: []clients.Secret{{Hash: clients.HashSecret("x")}}}}
	a, b := node(t, srv.URL, fixed), node(t, srv.URL, fixed)
	ctx := t.Context()

	_, err := b.live.Get(ctx, "job")
	require.ErrorIs(t, err, clients.ErrUnknown)
	require.NoError(t, a.manager.Create(ctx, machine("job")))
	soon(t, func() bool { _, err := b.live.Get(ctx, "job"); return err == nil })
	require.ErrorIs(t, b.manager.Create(ctx, machine("job")), clients.ErrExists)
	require.ErrorIs(t, b.manager.Create(ctx, machine("fixed")), clients.ErrExists, "config.toml wins")

	before, err := b.live.Get(ctx, "job")
	require.NoError(t, err)
	require.NoError(t, a.manager.SetDisabled(ctx, "job", true))
	soon(t, func() bool {
		c, err := b.live.Get(ctx, "job")
		return err == nil && c.Disabled && c.Epoch != before.Epoch
	})
	require.NoError(t, a.manager.SetDisabled(ctx, "job", false))
	soon(t, func() bool {
		c, err := b.live.Get(ctx, "job")
		return err == nil && !c.Disabled && c.Epoch != before.Epoch
	})

	require.NoError(t, a.manager.SetDisabled(ctx, "fixed", true))
	soon(t, func() bool { c, err := b.live.Get(ctx, "fixed"); return err == nil && c.Disabled })
	require.NoError(t, a.manager.SetDisabled(ctx, "fixed", false))
	soon(t, func() bool { c, err := b.live.Get(ctx, "fixed"); return err == nil && !c.Disabled })
	require.ErrorIs(t, a.manager.Delete(ctx, "fixed"), clients.ErrReadOnly)

	require.NoError(t, a.manager.Delete(ctx, "job"))
	soon(t, func() bool { _, err := b.live.Get(ctx, "job"); return err != nil })
	require.ErrorIs(t, a.manager.Delete(ctx, "job"), clients.ErrUnknown)
}

func TestLiveCannotFollow(t *testing.T) {
	srv := redistest.Start(t)
	a := node(t, srv.URL)
	require.NoError(t, a.manager.Create(t.Context(), machine("job")))
	soon(t, func() bool { _, err := a.live.Get(t.Context(), "job"); return err == nil })
	srv.Pause()
	soon(t, func() bool { return a.live.Fresh() != nil })
	_, err := a.live.Get(t.Context(), "job")
	require.ErrorIs(t, err, clients.ErrStale, "IN-24 a cache that nothing confirms is not trusted")
	srv.Resume()
	soon(t, func() bool { _, err := a.live.Get(t.Context(), "job"); return err == nil && a.live.Fresh() == nil })
}

// TestLiveTrimmed: changes that a node did not see, because the feed was trimmed or lost meanwhile,
// empty its cache.
func TestLiveTrimmed(t *testing.T) {
	srv := redistest.Start(t)
	a, b := node(t, srv.URL), node(t, srv.URL)
	ctx := t.Context()
	require.NoError(t, a.manager.Create(ctx, machine("job")))
	soon(t, func() bool { _, err := b.live.Get(ctx, "job"); return err == nil })
	for name, lose := range map[string][]any{
		"the feed is gone":    {"DEL", "test:clients:{registry}:feed"},
		"the feed is trimmed": {"XTRIM", "test:clients:{registry}:feed", "MAXLEN", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := a.manager.Update(ctx, "job", func(s *clients.Stored) error { s.Name = name; return nil })
			require.NoError(t, err)
			require.NoError(t, srv.Client().Do(ctx, lose...).Err())
			soon(t, func() bool { c, err := b.live.Get(ctx, "job"); return err == nil && c.Name == want.Name })
		})
	}
}

// rotate gives the client "job" another secret.
func rotate(r *registry, secret string, overlap time.Duration) error {
	_, err := r.manager.RotateSecret(context.Background(), "job", clients.HashSecret(secret), overlap, false)
	return err
}

func TestRotateSecret(t *testing.T) {
	srv := redistest.Start(t)
	a := node(t, srv.URL)
	ctx := t.Context()
	require.NoError(t, a.manager.Create(ctx, machine("job")))
	auth := func(secret string, at time.Time) error {
		proof, err := clients.Authenticate(ctx, a.live, clients.Credentials{ID: "job", Secret: secret, Method: clients.MethodBasic}, at)
		if err == nil {
			proof.Used(at)
		}
		return err
	}
	require.NoError(t, rotate(a, "second", time.Hour))
	soon(t, func() bool { return auth("second", time.Now()) == nil })
	require.NoError(t, auth("secret of job", time.Now()), "CA-17 both are valid during the overlap")
	require.Error(t, auth("secret of job", time.Now().Add(2*time.Hour)), "and the old one dies at its time")
	require.NoError(t, auth("second", time.Now().Add(2*time.Hour)))

	n, ids, err := a.manager.Redis.Ending(ctx, time.Now().Add(14*24*time.Hour))
	require.NoError(t, err)
	require.Zero(t, n, "the last secret has no end: %v", ids)

	d, err := a.manager.Get(ctx, "job")
	require.NoError(t, err)
	require.Len(t, d.Secrets, 2)
	require.NoError(t, a.manager.RevokeSecret(ctx, "job", d.Secrets[0].ID()))
	require.Error(t, a.manager.RevokeSecret(ctx, "job", d.Secrets[1].ID()), "the last one stays")
	soon(t, func() bool { return auth("secret of job", time.Now()) != nil })
	require.NoError(t, auth("second", time.Now()))

	require.NoError(t, rotate(a, "third", 0))
	soon(t, func() bool { return auth("third", time.Now()) == nil && auth("second", time.Now()) != nil })
}

func TestList(t *testing.T) {
	srv := redistest.Start(t)
	a := node(t, srv.URL)
	ctx := t.Context()
	want := map[string]bool{}
	for i := range 300 {
		id := fmt.Sprintf("job-%d {x}", i)
		want[id] = true
		require.NoError(t, a.manager.Create(ctx, machine(id)))
	}
	seen := map[string]bool{}
	require.NoError(t, a.manager.Redis.All(ctx, func(s *clients.Stored) error { seen[s.ID] = true; return nil }))
	require.Equal(t, want, seen)
	require.LessOrEqual(t, a.live.Stats().Cached, 100, "the cache is bounded")
}

func TestLiveUnknown(t *testing.T) {
	t.Run("S-43 what is remembered of an unknown id is the id, and not the request that it was a part of", func(t *testing.T) {
		n := node(t, redistest.Start(t).URL)
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := heap()
		for i := range 100 {
			request := strings.Repeat("x", 64<<10) + fmt.Sprintf("stranger-%d", i)
			_, err := n.live.Get(t.Context(), request[64<<10:])
			require.ErrorIs(t, err, clients.ErrUnknown)
		}
		require.Equal(t, 100, n.live.Stats().UnknownIDs)
		require.Less(t, heap(), before+(2<<20)) // the requests were 6.4 MB
	})
	t.Run("S-43 S-54 strangers' ids push no client out, and are bounded; an id that is registered later is found", func(t *testing.T) {
		n := node(t, redistest.Start(t).URL)
		for i := range 90 { // of the 100 that this node keeps
			require.NoError(t, n.manager.Create(t.Context(), machine(fmt.Sprintf("job-%d", i))))
		}
		kept := func() bool {
			before := n.live.Stats().Misses
			for i := range 90 {
				_, err := n.live.Get(t.Context(), fmt.Sprintf("job-%d", i))
				require.NoError(t, err)
			}
			return n.live.Stats().Misses == before
		}
		require.NoError(t, n.live.ReadChanges(t.Context()))
		kept() // loads them; from now on nothing in the stream throws one out
		for i := range 3000 {
			_, err := n.live.Get(t.Context(), fmt.Sprintf("stranger-%d", i))
			require.ErrorIs(t, err, clients.ErrUnknown)
		}
		require.LessOrEqual(t, n.live.Stats().UnknownIDs, 2048)
		require.True(t, kept(), "every client is still in memory")
		require.NoError(t, n.manager.Create(t.Context(), machine("stranger-2999")))
		soon(t, func() bool { _, err := n.live.Get(t.Context(), "stranger-2999"); return err == nil })
	})
}
