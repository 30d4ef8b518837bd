package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/growth"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/internal/presence"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/storetest"
	"github.com/grantor-auth/grantor/users"
)

// TestACL runs every store under the ACL line of docs/operate/redis.md, and nothing beyond it.
func TestACL(t *testing.T) {
	line := regexp.MustCompile(`(?m)^ACL SETUSER .*$`).FindString(read(t, "../docs/operate/redis.md"))
	require.NotEmpty(t, line)
	srv := redistest.Start(t)
	var args []any
	for _, word := range strings.Fields(strings.Replace(line, "PASSWORD", "a-good-password", 1)) {
		args = append(args, word)
	}
	require.NoError(t, srv.Client().Do(t.Context(), args...).Err(), line)
	url := strings.Replace(srv.URL, "redis://", "redis://grantor:a-good-password@", 1)
	open := func(t *testing.T) *redisdb.DB {
		db, err := redisdb.Open(redisdb.Config{URL: url, Prefix: "grantor:"})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	t.Run("every command that a script calls is in the line", func(t *testing.T) {
		called := 0
		require.NoError(t, filepath.WalkDir("..", func(name string, e os.DirEntry, err error) error {
			if e.IsDir() && (e.Name() == "test" || e.Name() == "examples" || e.Name() == "node_modules") {
				return filepath.SkipDir
			}
			if err != nil || strings.HasSuffix(name, "_test.go") || (filepath.Ext(name) != ".go" && filepath.Ext(name) != ".lua") {
				return err
			}
			for _, m := range regexp.MustCompile(`redis\.p?call\('([A-Z]+)'`).FindAllStringSubmatch(read(t, name), -1) {
				require.Regexp(t, `\+`+strings.ToLower(m[1])+`(\||\s|$)`, line, name)
				called++
			}
			return nil
		}))
		require.Greater(t, called, 50)
	})
	t.Run("the token store, whole", func(t *testing.T) {
		node := func(t *testing.T) func() tokens.Store { return func() tokens.Store { return tokens.NewRedis(open(t)) } }
		storetest.Run(t, node)
		storetest.RunSessions(t, node)
		empty := func(t *testing.T) func() tokens.Store {
			require.NoError(t, srv.Client().FlushAll(t.Context()).Err())
			return node(t)
		}
		storetest.RunFeed(t, empty)
		storetest.RunServedByMany(t, empty)
	})
	t.Run("what doctor and status read", func(t *testing.T) {
		db, ctx := open(t), t.Context()
		missing, keys, known, err := db.Rights(ctx)
		require.NoError(t, err)
		require.True(t, known)
		require.False(t, keys)
		require.Empty(t, missing)
		_, err = db.Inspect(ctx)
		require.NoError(t, err)
		_, err = db.HadReplicas(ctx)
		require.NoError(t, err)
		require.NoError(t, growth.Note(ctx, db, 1))
		_, err = growth.Samples(ctx, db)
		require.NoError(t, err)
		_, err = presence.List(ctx, db)
		require.NoError(t, err)
	})
	t.Run("health, clients, users, counters, keys and the trail", func(t *testing.T) {
		db, ctx := open(t), t.Context()
		_, err := db.Health(ctx)
		require.NoError(t, err)
		require.NoError(t, db.Ping(ctx))

		store := tokens.NewRedis(db)
		static, err := clients.NewConfigured(ctx, nil, store)
		require.NoError(t, err)
		live, err := clients.NewCached(ctx, static, clients.NewRedis(db), 10)
		require.NoError(t, err)
		catalogue, err := scopes.NewCatalogue(map[string]scopes.Scope{"orders:read": {}})
		require.NoError(t, err)
		m := &clients.Manager{Redis: clients.NewRedis(db), Epochs: store, Catalogue: catalogue, MaxTTL: time.Hour}
		require.NoError(t, m.Create(ctx, &clients.Stored{Registration: clients.Registration{ID: "job", Scope: "orders:read",
			Secrets: []clients.Secret{{Hash: clients.HashSecret("x"), ExpiresAt: time.Now().Add(time.Hour)}}}}))
		_, err = live.Get(ctx, "job")
		require.NoError(t, err)
		_, _, err = m.Redis.Ending(ctx, time.Now())
		require.NoError(t, err)
		_, _, err = m.Redis.List(ctx, "", 10)
		require.NoError(t, err)
		require.NoError(t, m.Delete(ctx, "job"))

		people := users.NewRedis(db)
		hash, err := users.Hash("a good password")
		require.NoError(t, err)
		u, err := people.Add(ctx, users.NewUser{Username: "ada", PasswordHash: hash})
		require.NoError(t, err)
		_, err = people.Find(ctx, "ada")
		require.NoError(t, err)
		_, _, err = people.Page(ctx, "", 10)
		require.NoError(t, err)
		require.NoError(t, people.Delete(ctx, u.ID))

		g := lockout.New(lockout.NewRedis(db), 5, 100, time.Minute)
		for _, end := range []func(*lockout.Reservation) error{
			func(a *lockout.Reservation) error { return a.Failed(ctx) },
			func(a *lockout.Reservation) error { return a.Refused(ctx) },
			func(a *lockout.Reservation) error { return a.Abandoned(ctx) },
			func(a *lockout.Reservation) error { return a.Succeeded(ctx) },
		} {
			a, _, _, err := g.Begin(ctx, "192.0.2.1")
			require.NoError(t, err)
			_, _, err = a.ForUser(ctx, lockout.Target{Key: "ada"})
			require.NoError(t, err)
			_, err = a.Identified(ctx, lockout.Target{Key: "id:u-1"})
			require.NoError(t, err)
			require.NoError(t, end(a))
		}
		require.NoError(t, lockout.NewRateLimit(lockout.NewRedis(db), "client", 5, time.Minute).Failed(ctx, "x"))

		wrap, err := keys.NewWrap("0123456789abcdefghijklmnopqrstuvwxyz")
		require.NoError(t, err)
		_, err = keys.Open(ctx, keys.Config{Store: keys.NewRedis(db, wrap), Algorithms: []keys.Algorithm{keys.ES256}, MaxTokenTTL: time.Hour})
		require.NoError(t, err)

		sink := audit.NewRedis(db)
		audit.New(sink, nil, nil).Record(ctx, audit.Event{Event: "x"})
		sink.Close()
		n, err := srv.Client().XLen(ctx, "grantor:audit").Result()
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
	})
}
