package clients_test

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// follower reads a revocation feed.
type follower struct {
	stream feed.Stream
	at     feed.Position
}

func follow(t *testing.T, s feed.Stream) *follower {
	f := &follower{stream: s}
	f.next(t)
	return f
}

// next returns what is new.
func (f *follower) next(t *testing.T) (names, changed []string) {
	t.Helper()
	page, err := f.stream.Read(t.Context(), f.at, 1000)
	require.NoError(t, err)
	f.at = page.At
	for _, e := range page.Ends {
		names = append(names, e.Names...)
		if e.Client != "" {
			changed = append(changed, e.Client)
		}
	}
	return names, changed
}

// TestChangesInTheFeed: what takes something from a client's tokens ends its name, in the step of
// the change.
func TestChangesInTheFeed(t *testing.T) {
	srv := redistest.Start(t)
	a := node(t, srv.URL)
	ctx, f := t.Context(), follow(t, tokens.NewRedis(a.db).Feed())
	wide := machine("job")
	wide.Scope, wide.Audience, wide.Resource = "orders:*", []string{"https://a.example", "https://b.example"}, "https://job.example"
	wide.Grants = []string{"client_credentials", "password", "refresh_token"}
	require.NoError(t, a.manager.Create(ctx, wide))
	names, changed := f.next(t)
	require.Empty(t, names)
	require.Equal(t, []string{"job"}, changed, "nodes may know that there was none")
	name := func() string {
		c, err := a.live.Get(ctx, "job")
		require.NoError(t, err)
		return c.FeedName()
	}
	update := func(edit func(*clients.Stored)) {
		_, err := a.manager.Update(ctx, "job", func(s *clients.Stored) error { edit(s); return nil })
		require.NoError(t, err)
	}
	for what, change := range map[string]func(){
		"its name":               func() { update(func(s *clients.Stored) { s.Name = "Job" }) },
		"another secret":         func() { update(func(s *clients.Stored) { s.Secrets[0].Hash = clients.HashSecret("other") }) },
		"it may see more":        func() { update(func(s *clients.Stored) { s.Introspect = clients.SightAny }) },
		"longer tokens":          func() { update(func(s *clients.Stored) { s.AccessTTL = clients.Duration(time.Hour) }) },
		"it may ask for more":    func() { update(func(s *clients.Stored) { s.Scope += " orders:read" }) },
		"another audience, too":  func() { update(func(s *clients.Stored) { s.Audience = append(s.Audience, "https://c.example") }) },
		"a change of nothing":    func() { update(func(*clients.Stored) {}) },
		"it is enabled, as ever": func() { require.NoError(t, a.manager.SetDisabled(ctx, "job", false)) },
	} {
		before := name()
		change()
		names, _ := f.next(t)
		require.Empty(t, names, what)
		require.Equal(t, before, name(), what)
	}
	for _, c := range []struct {
		what   string
		change func()
	}{
		{"a narrower scope", func() { update(func(s *clients.Stored) { s.Scope = "orders:read orders:write" }) }},
		{"one scope less", func() { update(func(s *clients.Stored) { s.Scope = "orders:read" }) }},
		{"one grant less", func() { update(func(s *clients.Stored) { s.Grants = s.Grants[:2] }) }},
		{"one audience less", func() { update(func(s *clients.Stored) { s.Audience = s.Audience[1:] }) }},
		{"another resource", func() { update(func(s *clients.Stored) { s.Resource = "https://other.example" }) }},
		{"its tokens are revoked", func() { require.NoError(t, a.manager.RevokeTokens(ctx, "job")) }},
		{"it is disabled", func() { require.NoError(t, a.manager.SetDisabled(ctx, "job", true)) }},
	} {
		before := name()
		c.change()
		names, changed := f.next(t)
		require.Equal(t, []string{before}, names, c.what)
		require.Equal(t, []string{"job"}, changed, c.what)
		require.NotEqual(t, before, name(), c.what)
	}
	require.NoError(t, a.manager.Delete(ctx, "job"))
	names, changed = f.next(t)
	require.Empty(t, names, "it was disabled: it had no tokens")
	require.Equal(t, []string{"job"}, changed)

	require.NoError(t, a.manager.Create(ctx, machine("other")))
	c, err := a.live.Get(ctx, "other")
	require.NoError(t, err)
	f.next(t)
	require.NoError(t, a.manager.Delete(ctx, "other"))
	names, _ = f.next(t)
	require.Equal(t, []string{c.FeedName()}, names)

	t.Run("S-65 a record of an earlier version has the zero edition, and one that nobody can read ends everything", func(t *testing.T) {
		require.NoError(t, a.manager.Create(ctx, machine("old")))
		c, err := a.live.Get(ctx, "old")
		require.NoError(t, err)
		require.Equal(t, feed.Client(c.Epoch, clients.Epoch{}), c.FeedName())
		for _, key := range srv.Client().Keys(ctx, "test:clients:{registry}:??").Val() {
			if srv.Client().HExists(ctx, key, "old").Val() {
				require.NoError(t, srv.Client().HSet(ctx, key, "old", `{"v":99}`).Err())
			}
		}
		f.next(t)
		require.NoError(t, a.manager.Delete(ctx, "old"))
		names, _ := f.next(t)
		require.Equal(t, []string{feed.Nameless}, names)
	})
	t.Run("a full Redis takes what narrows a client", func(t *testing.T) {
		require.NoError(t, a.manager.Create(ctx, machine("full")))
		c, err := a.live.Get(ctx, "full")
		require.NoError(t, err)
		f.next(t)
		require.NoError(t, srv.Client().ConfigSet(ctx, "maxmemory", "1").Err())
		require.NoError(t, a.manager.RevokeTokens(ctx, "full"))
		names, _ := f.next(t)
		require.Equal(t, []string{c.FeedName()}, names)
		require.True(t, redisdb.OnlyReads(a.manager.Create(ctx, machine("more"))))
	})
}

// fileClient is a client of a configuration.
func fileClient(scope string) []*clients.Client {
	rules, _ := scopes.ParseRules(scope)
	return []*clients.Client{{Registration: clients.Registration{ID: "app", Grants: []string{"password"}}, Scope: rules}}
}

// TestExchangeInTheFeed: what an exchange policy takes from tokens counts, whichever table says it.
func TestExchangeInTheFeed(t *testing.T) {
	store := tokens.NewMemory(0)
	defer func() { require.NoError(t, store.Close()) }()
	begin := func(policy string, table map[string]scopes.Scope) string {
		r := clients.Registration{ID: "app", Secrets: machine("app").Secrets, Scope: "a b", Grants: []string{clients.GrantTokenExchange},
			Exchange: &clients.ExchangePolicy{SubjectClients: []string{"*"}, Scope: policy}}
		app, err := r.Client()
		require.NoError(t, err)
		cat, err := scopes.NewCatalogue(table)
		require.NoError(t, err)
		c, err := clients.NewConfigured(t.Context(), []*clients.Client{app}, store)
		require.NoError(t, err)
		require.NoError(t, c.Announce(t.Context(), store, cat))
		app, err = c.Get(t.Context(), "app")
		require.NoError(t, err)
		return app.FeedName()
	}
	f := follow(t, store.Feed())
	implies := map[string]scopes.Scope{"a": {Implies: []string{"b"}}, "b": {}}
	both := begin("a", implies)
	require.Equal(t, both, begin("a", implies))
	names, _ := f.next(t)
	require.Empty(t, names)
	less := begin("a", map[string]scopes.Scope{"a": {}, "b": {}})
	names, _ = f.next(t)
	require.Equal(t, []string{both}, names, "a scope implies another one no more: the policy permits less")
	begin("b", map[string]scopes.Scope{"a": {}, "b": {}})
	names, _ = f.next(t)
	require.Equal(t, []string{less}, names)
}

// TestConfiguredName: nobody may remember what a node says of a client that others know as another.
func TestConfiguredName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := tokens.NewMemory(0)
		defer func() { require.NoError(t, store.Close()) }()
		f := follow(t, store.Feed())
		begin := func(scope string) *clients.Configured {
			c, err := clients.NewConfigured(t.Context(), fileClient(scope), store)
			require.NoError(t, err)
			require.NoError(t, c.Announce(t.Context(), store, catalogue(t)))
			return c
		}
		name := func(c *clients.Configured) string {
			require.NoError(t, c.Refresh(t.Context()))
			app, err := c.Get(t.Context(), "app")
			require.NoError(t, err)
			return app.FeedName()
		}
		wide := begin("orders:*")
		old := name(wide)
		require.Equal(t, old, name(begin("orders:read orders:write")), "in this catalogue it is the same")
		names, _ := f.next(t)
		require.Empty(t, names)

		narrow := begin("orders:read")
		now := name(narrow)
		names, _ = f.next(t)
		require.Equal(t, []string{old}, names, "before the narrower configuration serves")
		require.NotEqual(t, old, now)
		require.NotEmpty(t, now)
		require.Empty(t, name(wide), "a node that is not reloaded yet")

		ctx, cancel := context.WithCancel(t.Context())
		go wide.Run(ctx, slog.New(slog.DiscardHandler))
		time.Sleep(30 * time.Second)
		require.Empty(t, name(wide))
		require.Equal(t, now, name(narrow))
		time.Sleep(time.Minute)
		names, _ = f.next(t)
		require.Equal(t, []string{now}, names, "it stays: what it says ends the other's")
		again := name(wide)
		require.NotEmpty(t, again)
		require.NotContains(t, []string{old, now}, again)
		cancel()
		synctest.Wait()

		require.NoError(t, store.RenewClient(t.Context(), "app", clients.NewEpoch()))
		names, _ = f.next(t)
		require.Equal(t, []string{again}, names)
		require.NotEqual(t, again, name(wide))
	})
}

// TestEditionsAfterLoss: a store that lost its data gets editions again, soon.
func TestEditionsAfterLoss(t *testing.T) {
	srv := redistest.Start(t)
	store := tokens.NewRedis(open(t, srv.URL))
	c, err := clients.NewConfigured(t.Context(), fileClient("orders:read"), store)
	require.NoError(t, err)
	require.NoError(t, c.Announce(t.Context(), store, catalogue(t)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go c.Run(ctx, slog.New(slog.DiscardHandler))
	app, err := c.Get(t.Context(), "app")
	require.NoError(t, err)
	require.NoError(t, srv.Client().FlushAll(t.Context()).Err())
	soon(t, func() bool {
		now, err := c.Get(t.Context(), "app")
		return err == nil && now.Epoch == app.Epoch && now.FeedName() != "" && now.Edition != app.Edition
	})
}

// TestAnnounceWhileRedisOnlyReads: a node starts if it takes nothing from anybody.
func TestAnnounceWhileRedisOnlyReads(t *testing.T) {
	srv := redistest.Start(t)
	store := tokens.NewRedis(open(t, srv.URL))
	begin := func(scope string) error {
		c, err := clients.NewConfigured(t.Context(), fileClient(scope), store)
		require.NoError(t, err)
		return c.Announce(t.Context(), store, catalogue(t))
	}
	deny := func(n string) {
		require.NoError(t, srv.Client().ConfigSet(t.Context(), "min-replicas-to-write", n).Err())
	}
	_, err := store.ClientEpochs(t.Context(), []string{"app"}, nil)
	require.NoError(t, err)
	deny("1")
	require.NoError(t, begin("orders:*"), "it had no edition")
	deny("0")
	require.NoError(t, begin("orders:*"))
	deny("1")
	require.NoError(t, begin("orders:*"), "nothing changed")
	require.ErrorIs(t, begin("orders:read"), redisdb.ErrUnavailable, "its name must be in the feed first")
}

// TestEndReplaced: a configuration has clients under the ids of registered ones.
func TestEndReplaced(t *testing.T) {
	srv := redistest.Start(t)
	a := node(t, srv.URL)
	ctx, f := t.Context(), follow(t, tokens.NewRedis(a.db).Feed())
	for _, id := range []string{"job", "off"} {
		require.NoError(t, a.manager.Create(ctx, machine(id)))
	}
	require.NoError(t, a.manager.SetDisabled(ctx, "off", true))
	job, err := clients.NewRedis(a.db).Load(ctx, "job")
	require.NoError(t, err)
	f.next(t)
	ids := make([]string, 1000) // more than one script looks for
	for i := range ids {
		ids[i] = "unknown-" + strconv.Itoa(i)
	}
	replaced, err := clients.NewRedis(a.db).EndReplaced(ctx, append(ids, "off", "job"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"job", "off"}, replaced)
	names, changed := f.next(t)
	require.Equal(t, []string{feed.Client(job.Epoch, job.Edition)}, names, "a disabled one has no tokens")
	require.Equal(t, []string{"job"}, changed)
}
