package node

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/background"
	"github.com/grantor-auth/grantor/internal/console"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/presence"
	"github.com/grantor-auth/grantor/internal/ratelimit"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
	"github.com/grantor-auth/grantor/users"
)

// resources outlast a configuration: stores, counts, the audit trail, and the slots in which
// passwords are hashed.
type resources struct {
	log         *slog.Logger
	version     string
	stdout      io.Writer
	clock       func() time.Time  // of the memory store
	background  *background.Group // runs until Close; an instance has a group of its own
	stores      *stores
	beat        *redisdb.Beat // nil with the memory store
	metrics     *metrics.Metrics
	trail       *audit.Trail // nil: none
	reopenTrail func() error // goes on with the file that has the trail's name now
	tracer      trace.Tracer // nil: none
	slots       *users.Slots
	key         *tokens.KeyHolder
	keyUses     *tokens.KeyUses // of API keys; nil with the memory store
	roster      *roster
	rates       *ratelimit.Limiter // outlasts a reload, or each would give every client a burst
	feed        *feed.Reader
	keys        *keys.Ring         // nil: no JWTs here
	keyManager  *parts.SigningKeys // of keys in Redis; nil: not here
	algs        []string           // that keys signs with
	evicts      atomic.Bool        // Redis would drop keys when its memory is full
	closers     []func()

	recent  *audit.Recent          // the latest events of this node, for the console; nil: not kept
	samples *console.Samples       // counts of the last hour, likewise
	self    string                 // the id of this run in the list of nodes
	listens atomic.Pointer[string] // where the public endpoints are
}

// openResources opens one after the other. A later step may use what an earlier step opened.
func openResources(ctx context.Context, cfg *config.Config, o Options) (*resources, error) {
	r := &resources{log: o.Log, version: o.Version, stdout: o.Stdout, clock: o.Clock, metrics: metrics.New(o.Version), self: presence.NewID(), slots: users.NewSlots(0)}
	r.metrics.CountClients(cfg.Metrics.PerClient)
	r.background = background.New(r.log, r.metrics.Background)
	for _, open := range []func(context.Context, *config.Config) error{
		r.openStores,
		r.openPulse,
		r.openRates,
		r.openTrail,
		r.openServerKey,
		r.openFeed,
		r.openSigningKeys, // after the trail, which records a rotation
		r.openTracer,
	} {
		if err := open(ctx, cfg); err != nil {
			r.close()
			return nil, err
		}
	}
	return r, nil
}

// close ends the tasks, then closes in the opposite order of opening.
func (r *resources) close() {
	r.background.Stop()
	for i := len(r.closers) - 1; i >= 0; i-- {
		r.closers[i]()
	}
}

func (r *resources) openStores(ctx context.Context, cfg *config.Config) (err error) {
	if r.stores, err = openStores(ctx, cfg, r.log, r.clock); err == nil {
		r.closers = append(r.closers, r.stores.close)
	}
	return err
}

// openPulse begins to prove that Redis takes this node's writes.
func (r *resources) openPulse(ctx context.Context, _ *config.Config) error {
	if r.stores.db == nil {
		return nil
	}
	r.beat = redisdb.NewBeat(r.stores.db)
	r.stores.redis.WithPulse(r.beat)
	_ = r.beat.Once(ctx) // before the first request; Run repeats it
	r.keyUses = r.stores.redis.APIKeys().KeyUses()
	r.background.Go("API keys: last use", func(ctx context.Context) { r.keyUses.Run(ctx, r.log) })
	r.background.Go("pulse", r.beat.Run)
	return nil
}

// openRates begins to count requests of clients, with the other nodes where there can be any.
func (r *resources) openRates(_ context.Context, _ *config.Config) (err error) {
	var exchanger ratelimit.Exchanger
	if r.stores.db != nil {
		exchanger = ratelimit.NewRedis(r.stores.db)
	}
	if r.rates, err = ratelimit.New(exchanger); err == nil {
		r.background.Go("request rates", func(ctx context.Context) { r.rates.Run(ctx, r.log) })
	}
	return err
}

func (r *resources) openTrail(_ context.Context, cfg *config.Config) error {
	t, err := parts.Trail(cfg.Audit, r.stores.db, r.stdout, audit.OpenFile)
	if err != nil {
		return err
	}
	r.reopenTrail = t.Reopen
	if t.Sink == nil {
		return nil
	}
	if cfg.Admin.Console.Enabled && cfg.Audit.Output != "redis" {
		r.recent = &audit.Recent{}
		t.Keep(r.recent)
	}
	t.RunIn(r.background.Go)
	r.trail = audit.New(t.Sink, r.log, r.metrics.Audited)
	r.closers = append(r.closers, t.Close)
	return nil
}

func (r *resources) openServerKey(ctx context.Context, _ *config.Config) (err error) {
	if r.key, err = tokens.OpenKey(ctx, r.stores.tokens, tokens.KeyWait, r.log); err == nil {
		r.roster = &roster{store: r.stores.tokens, codec: r.key.Codec(), log: r.log}
	}
	return err
}

// openSigningKeys makes the first keys where there are none, and follows the keys.
func (r *resources) openSigningKeys(ctx context.Context, cfg *config.Config) error {
	k, err := parts.Keys(cfg, r.stores.db)
	if err != nil || k == nil {
		return err
	}
	k.Log, k.Rotated = r.log, r.recordRotation
	if r.stores.db == nil {
		k.Now = r.clock // Redis says the time with the keys
	} else {
		r.keyManager = &parts.SigningKeys{Config: *k, Feed: feed.NewRedis(r.stores.db)}
	}
	if r.keys, err = keys.Open(ctx, *k); err != nil {
		return err
	}
	r.algs = cfg.SigningAlgorithms()
	r.background.Go("signing keys", r.keys.Run)
	return nil
}

// recordRotation writes a rotation into the trail, whoever asked for it: the command that asks has
// no trail of its own.
func (r *resources) recordRotation(rotated keys.Activation) {
	e := audit.Event{Event: audit.KeysRotated, Actor: "operator",
		Detail: string(rotated.Algorithm) + " key " + rotated.KeyID + " signs from " + rotated.From.UTC().Format(time.RFC3339)}
	if rotated.Scheduled {
		e.Actor = "server"
	}
	r.trail.Record(context.Background(), e)
}
