package doctor_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/doctor"
	"github.com/grantor-auth/grantor/internal/presence"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/users"
)

// redisPlanted is a fault in a Redis that is else sound.
type redisPlanted struct {
	id    string
	level doctor.Level
	text  string
	plant func(t *testing.T, d *deployment, srv *redistest.Server)
	also  []string
}

// TestPlantedInRedis: each fault is found by its id and level, and nothing else is. Each is taken
// out again: all share one Redis.
func TestPlantedInRedis(t *testing.T) {
	srv := startRedis(t)
	for _, all := range []map[string]redisPlanted{settingFaults(), dataFaults()} {
		for name, p := range all {
			t.Run(name, func(t *testing.T) {
				d := sound(t, srv.URL)
				p.plant(t, d, srv)
				r := d.run()
				require.ElementsMatch(t, beside(append(p.also, string(p.level)+" "+p.id)), notable(r), "%v", r.Findings)
				requireFound(t, r, p.id, p.level, p.text)
			})
		}
	}
}

// setting changes a setting of Redis until the test ends.
func setting(t *testing.T, srv *redistest.Server, name, value string) {
	t.Helper()
	c := srv.Client()
	was := c.ConfigGet(t.Context(), name).Val()[1].(string)
	require.NoError(t, c.ConfigSet(t.Context(), name, value).Err())
	t.Cleanup(func() { require.NoError(t, c.ConfigSet(context.Background(), name, was).Err()) })
}

// user makes the deployment use a user of Redis of its own.
func user(t *testing.T, d *deployment, srv *redistest.Server, rights string) {
	t.Helper()
	args := []any{"acl", "setuser", "grantor", "reset", "on", ">a-password"}
	for right := range strings.FieldsSeq(rights) {
		args = append(args, right)
	}
	require.NoError(t, srv.Client().Do(t.Context(), args...).Err())
	d.set(d.value("url"), strings.Replace(srv.URL, "redis://", "redis://grantor:a-password@", 1))
}

func settingFaults() map[string]redisPlanted {
	set := func(name, value string) func(*testing.T, *deployment, *redistest.Server) {
		return func(t *testing.T, _ *deployment, srv *redistest.Server) { setting(t, srv, name, value) }
	}
	clock := func(ahead time.Duration) func(*testing.T, *deployment, *redistest.Server) {
		return func(_ *testing.T, d *deployment, _ *redistest.Server) {
			d.o.Now = func() time.Time { return time.Now().Add(ahead) }
		}
	}
	return map[string]redisPlanted{
		"S-26 a policy that evicts": {"redis.policy", doctor.Fault, `"allkeys-lru"`, set("maxmemory-policy", "allkeys-lru"), nil},
		"a policy that would evict": {"redis.policy", doctor.Warning, "as soon as maxmemory is set", func(t *testing.T, _ *deployment, srv *redistest.Server) {
			setting(t, srv, "maxmemory-policy", "volatile-ttl")
			setting(t, srv, "maxmemory", "0")
		}, []string{"warning redis.memory"}},
		"no append-only file": {"redis.persistence", doctor.Warning, "append-only file of", set("appendonly", "no"), nil},
		"no maxmemory":        {"redis.memory", doctor.Warning, "maxmemory of", set("maxmemory", "0"), nil},
		"the memory is nearly full": {"redis.memory", doctor.Warning, "9", func(t *testing.T, d *deployment, srv *redistest.Server) {
			fill(t, d, srv)
			setting(t, srv, "maxmemory", fmt.Sprint(used(t, srv)*100/94))
		}, nil},
		"the memory is full": {"redis.memory", doctor.Fault, "a full Redis refuses new tokens", func(t *testing.T, d *deployment, srv *redistest.Server) {
			fill(t, d, srv)
			setting(t, srv, "maxmemory", fmt.Sprint(used(t, srv)))
		}, nil},
		"a command that is not allowed": {"redis.rights", doctor.Fault, "may not run hsetnx, xrevrange", func(t *testing.T, d *deployment, srv *redistest.Server) {
			user(t, d, srv, "~* &* +@all -hsetnx -xrevrange")
		}, nil},
		"WAIT is not allowed": {"redis.rights", doctor.Fault, "may not run wait", func(t *testing.T, d *deployment, srv *redistest.Server) {
			user(t, d, srv, "~* &* +@all -wait")
		}, nil},
		"another prefix is allowed": {"redis.rights", doctor.Fault, "may not use the keys that begin with", func(t *testing.T, d *deployment, srv *redistest.Server) {
			user(t, d, srv, "~other:* &* +@all")
		}, []string{"unknown redis.replicas", "unknown redis.memory", "unknown feed.enabled", "unknown keys.readable", "unknown keys.schedule", "unknown scopes.readable",
			"unknown scopes.granted", "unknown clients.grants", "unknown clients.idle", "unknown clients.secrets", "unknown nodes.ready", "unknown nodes.configuration"}},
		"the clocks differ by seconds": {"redis.clock", doctor.Warning, "differ by 5s", clock(5 * time.Second), nil},
		"the clocks differ by minutes": {"redis.clock", doctor.Fault, "differ by 3m", clock(-3 * time.Minute), nil},
	}
}

// fill takes 64 MiB of memory, so that connections that come and go are no part of a percent.
func fill(t *testing.T, d *deployment, srv *redistest.Server) {
	t.Helper()
	c, key := srv.Client(), d.value("prefix")+"filler"
	require.NoError(t, c.SetRange(t.Context(), key, 64<<20, "x").Err())
	t.Cleanup(func() { require.NoError(t, c.Del(context.Background(), key).Err()) })
}

func used(t *testing.T, srv *redistest.Server) int64 {
	t.Helper()
	db, err := redisdb.Open(redisdb.Config{URL: srv.URL})
	require.NoError(t, err)
	defer db.Close()
	r, err := db.Health(t.Context())
	require.NoError(t, err)
	return r.Used
}

// open opens the deployment's Redis as a node does.
func (d *deployment) open(srv *redistest.Server) *redisdb.DB {
	d.t.Helper()
	db, err := redisdb.Open(redisdb.Config{URL: srv.URL, Prefix: d.value("prefix")})
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = db.Close() })
	return db
}

// present writes a node down that nobody serves.
func present(t *testing.T, d *deployment, srv *redistest.Server, n presence.Node) {
	t.Helper()
	cfg, _, _ := d.read()
	if n.Config == "" {
		n.Config = cfg.Fingerprint()
	}
	n.ID, n.Host = "abc", "host-1"
	db := d.open(srv)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		presence.Run(ctx, db, slog.New(slog.DiscardHandler), func() presence.Node { return n })
	}()
	t.Cleanup(func() { stop(); <-ended })
	require.Eventually(t, func() bool { list, err := presence.List(t.Context(), db); return err == nil && len(list) == 1 }, 5*time.Second, 5*time.Millisecond)
}

// grown plants samples of the memory in use, by which it grew as much each day.
func grown(perDay int64) func(*testing.T, *deployment, *redistest.Server) {
	return func(t *testing.T, d *deployment, srv *redistest.Server) {
		now := time.Now().Unix() / 3600
		for day := range int64(4) {
			require.NoError(t, srv.Client().HSet(t.Context(), d.value("prefix")+"memory", fmt.Sprint(now-24*day), fmt.Sprint(1<<40-day*perDay)).Err())
		}
	}
}

func dataFaults() map[string]redisPlanted {
	node := func(n presence.Node) func(*testing.T, *deployment, *redistest.Server) {
		return func(t *testing.T, d *deployment, srv *redistest.Server) {
			enableFeed(t, d, srv)
			signingKeys(t, d, srv, 0)
			present(t, d, srv, n)
		}
	}
	// A node that says that it serves makes of an issuer that nobody serves a fault.
	serving := []string{"fault issuer.reachable"}
	return map[string]redisPlanted{
		"memory that lasts some days": {"redis.memory", doctor.Warning, "the rest lasts about", grown(20 << 20), nil},
		"memory that lasts no day":    {"redis.memory", doctor.Fault, "the rest lasts about", grown(200 << 20), nil},
		"a feed that is not enabled beside a node": {"feed.enabled", doctor.Warning, "verifiers that follow are answered 503", func(t *testing.T, d *deployment, srv *redistest.Server) {
			signingKeys(t, d, srv, 0)
			present(t, d, srv, presence.Node{})
		}, serving},
		"a node that is not ready":          {"nodes.ready", doctor.Warning, "is not ready: redis is away", node(presence.Node{NotReady: "redis is away"}), serving},
		"a node with another configuration": {"nodes.configuration", doctor.Warning, "holds the configuration 0123456789ab", node(presence.Node{Config: "0123456789ab"}), serving},
		"a node that holds few connections": {"limits.descriptors", doctor.Warning, "holds 800 connections at most", node(presence.Node{Connections: 800}), serving},
		"no key signs beside a node": {"keys.schedule", doctor.Fault, "no key signs with ES256", func(t *testing.T, d *deployment, srv *redistest.Server) {
			enableFeed(t, d, srv)
			present(t, d, srv, presence.Node{})
		}, serving},
		"another encryption key": {"keys.readable", doctor.Fault, "cannot be decrypted", func(t *testing.T, d *deployment, srv *redistest.Server) {
			signingKeys(t, d, srv, 0)
			d.set("0123456789abcdefghijklmnopqrstuvwxyz", "another-key-of-32-characters-at-least-0000")
		}, []string{"unknown keys.schedule"}},
		"a rotation that is overdue": {"keys.schedule", doctor.Warning, "longer than rotate_every", func(t *testing.T, d *deployment, srv *redistest.Server) {
			signingKeys(t, d, srv, 200*24*time.Hour)
		}, nil},
		"a secret of a registered client has ended": {"clients.secrets", doctor.Warning, `has ended: "shop"`, func(t *testing.T, d *deployment, srv *redistest.Server) {
			s := &clients.Stored{Registration: clients.Registration{ID: "shop", Grants: []string{"client_credentials"}, Scope: "orders:read",
				Secrets: []clients.Secret{{Hash: clients.HashSecret("x"), ExpiresAt: time.Now().Add(-time.Hour)}}}, Epoch: clients.NewEpoch()}
			require.NoError(t, clients.NewRedis(d.open(srv)).Create(t.Context(), s))
		}, nil},
		"a user in Redis without a scope": {"users.scope", doctor.Warning, `"u-7"`, func(t *testing.T, d *deployment, srv *redistest.Server) {
			d.withUsers()
			head, _, _ := strings.Cut(d.text, "[[users.config]]")
			d.text = strings.Replace(head, `source = "config"`, `source = "redis"`, 1)
			hash, err := users.Hash("a good password")
			require.NoError(t, err)
			_, err = users.NewRedis(d.open(srv)).Add(t.Context(), users.NewUser{ID: "u-7", Username: "eve", PasswordHash: hash})
			require.NoError(t, err)
		}, []string{"warning config.warnings"}},
	}
}

// enableFeed does what the first start in an empty Redis does.
func enableFeed(t *testing.T, d *deployment, srv *redistest.Server) {
	t.Helper()
	require.NoError(t, srv.Client().Set(t.Context(), d.value("prefix")+"feed:{registry}:enabled", "1", time.Hour).Err())
}

// signingKeys makes the keys that a start makes, of which the first signs since some time ago, and
// returns its name.
func signingKeys(t *testing.T, d *deployment, srv *redistest.Server, since time.Duration) (signing string) {
	t.Helper()
	wrap, err := keys.NewWrap("0123456789abcdefghijklmnopqrstuvwxyz")
	require.NoError(t, err)
	store := keys.NewRedis(d.open(srv), wrap)
	_, err = keys.Open(t.Context(), keys.Config{Store: store, Algorithms: []keys.Algorithm{keys.ES256}, MaxTokenTTL: time.Hour})
	require.NoError(t, err)
	held, err := store.Load(t.Context())
	require.NoError(t, err)
	first := held.Keys[0]
	if since == 0 {
		return first.ID
	}
	first.Created, first.From, first.Until, first.Gone = first.Created.Add(-since), first.From.Add(-since), time.Time{}, time.Time{}
	require.NoError(t, store.Swap(t.Context(), held.Revision, []keys.Key{first}))
	return first.ID
}
