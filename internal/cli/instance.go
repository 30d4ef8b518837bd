package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/cors"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/background"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/server"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// instance is one configuration in force: a server over the stores, which stay when another takes its place.
type instance struct {
	cfg         *config.Config
	server      *server.Server
	handler     http.Handler // the server, with what [cors] adds
	static      *clients.Configured
	live        *clients.Cached // nil with the memory store
	proven      *clients.Proven // live, while the pulse proves it; nil likewise
	keys        *keys.Ring      // nil: no JWTs here
	certificate *tls.Certificate
	background  *background.Group
	stop        func()
}

// instance builds a configuration's server. It has no effect on the one in force, but for what has no place in the new one any more.
func (b *base) instance(ctx context.Context, cfg *config.Config) (in *instance, err error) {
	undo, err := b.served.begin(ctx, cfg)
	defer func() {
		if err != nil {
			undo()
		}
	}()
	if err != nil {
		return nil, err
	}
	return b.build(ctx, cfg)
}

func (b *base) build(ctx context.Context, cfg *config.Config) (*instance, error) {
	in := &instance{cfg: cfg, keys: b.keys, background: background.New(b.log, b.metrics.Background)}
	var err error
	if in.certificate, err = certificate(cfg.TLS); err != nil {
		return nil, err
	}
	registry, err := in.registry(ctx, b)
	if err != nil {
		return nil, err
	}
	people, demoUsers := cfg.ConfigUsers(), cfg.DemoUsers()
	if cfg.Trial {
		demoUsers = nil
	}
	directory, err := openDirectory(ctx, cfg, b.stores.db, people, b.slots)
	if err != nil {
		return nil, err
	}
	sc := b.serverConfig(in, registry)
	sc.DemoUsers, sc.Users = demoUsers, directory.authenticator
	sc.Healthy = func() error { return errors.Join(b.background.Err(), in.background.Err()) }
	if sc.Assertions, err = b.assertions(cfg); err != nil {
		directory.close()
		return nil, err
	}
	if in.server, err = server.New(ctx, sc); err != nil {
		directory.close()
		sc.Assertions.Close()
		return nil, err
	}
	in.handler = crossOrigin(cfg.CORS, in.server)
	in.run(b.log)
	in.stop = sync.OnceFunc(func() { in.background.Stop(); directory.close(); sc.Assertions.Close() })
	return in, nil
}

// registry opens the clients of config.toml and, on Redis, the others.
func (in *instance) registry(ctx context.Context, b *base) (clients.Registry, error) {
	var err error
	if in.static, err = clients.NewConfigured(ctx, in.cfg.Registrations(), b.stores.tokens); err != nil {
		return nil, err
	}
	if b.stores.db == nil {
		return in.static, nil
	}
	if in.live, err = clients.NewCached(ctx, in.static, clients.NewRedis(b.stores.db), 0); err != nil {
		return nil, err
	}
	in.proven = &clients.Proven{Registry: in.live, Proof: func() error { return b.beat.Fresh(clients.StaleAfter) }}
	return in.proven, nil
}

func (in *instance) run(log *slog.Logger) {
	in.background.Go("client epochs", func(ctx context.Context) { in.static.Run(ctx, log) })
	in.background.Go("client epochs: lifetime", func(ctx context.Context) { in.static.Housekeep(ctx, log) })
	if in.live != nil {
		in.background.Go("client change stream", func(ctx context.Context) { in.live.Run(ctx, log) })
		in.background.Go("client secrets: last use", func(ctx context.Context) { in.live.Housekeep(ctx, log) })
	}
}

// following returns an error when this node cannot know of all changes of clients.
func (in *instance) following() error {
	if in.proven != nil {
		return in.proven.Fresh()
	}
	return in.static.Fresh()
}

func (b *base) serverConfig(in *instance, registry clients.Registry) server.Config {
	cfg := in.cfg
	sc := server.Config{
		Issuer: cfg.Issuer, Clients: registry, Catalogue: cfg.Catalogue(), Store: b.stores.tokens, Key: b.key,
		AccessTTL: cfg.Tokens.AccessTTL, NotBefore: cfg.Tokens.NotBefore,
		RequestsPerSecond: cfg.Limits.RequestsPerSecond, TrustedProxies: cfg.TrustedProxies, IPv6Prefix: cfg.Limits.IPv6Prefix, Log: b.log,
		AdminURL: cfg.Admin.URL, AdminHosts: []string{hostOf(cfg.Admin.Listen)},
		Metrics: b.metrics, Audit: b.trail, Tracer: b.tracer,
		UserScope: cfg.UserScope(), RetryWindow: cfg.RetryWindow(),
		RefreshTTL: cfg.Tokens.RefreshTTL, RefreshMaxTTL: cfg.Tokens.RefreshMaxTTL, MaxSessionTTL: cfg.LongestSession(),
		PublicClients: b.stores.db != nil && cfg.Grants.Password, // any of Redis may be one
	}
	l := cfg.Limits
	sc.Lockout = lockout.New(b.stores.failures, l.PasswordFailures, l.PasswordFailuresPerAddress, l.Window)
	for _, c := range cfg.Registrations() {
		sc.PublicClients = sc.PublicClients || c.Public()
	}
	if n := l.ClientFailures; n > 0 {
		sc.ClientFailures = lockout.NewRateLimit(b.stores.failures, "client", n, time.Minute)
	}
	if b.keys != nil {
		sc.Keys, sc.Algorithms = b.keys, b.algs
		sc.Format, sc.SigningAlg = cfg.Tokens.AccessFormat, keys.Algorithm(cfg.Tokens.SigningAlg)
	}
	if b.stores.db != nil {
		b.manage(&sc, in)
	}
	return sc
}

// manage has the admin listener change clients and users. What cannot be confirmed is done again with revocations.
func (b *base) manage(sc *server.Config, in *instance) {
	cfg := in.cfg
	pending, _ := b.stores.tokens.(*tokens.Pending)
	registry := clients.NewRedis(b.stores.db)
	sc.Manager = manager(cfg, registry, b.stores.tokens)
	sc.Manager.Node = in.live
	if cfg.Grants.Password && cfg.Users.Source == "redis" {
		sc.UserDirectory = users.NewRedis(b.stores.db)
	}
	if pending != nil {
		registry.Again = pending
		if sc.UserDirectory != nil {
			sc.UserDirectory.Again = pending
		}
	}
	sc.Registrations = cfg.Limits.Registrations
	if most := cfg.Limits.RegistrationsPerHour; most > 0 {
		sc.RegistrationRate = func(ctx context.Context, registrar string) (time.Duration, error) {
			n, left, err := b.stores.failures.Add(ctx, lockout.SubjectOf("registrations", registrar), time.Hour)
			if err != nil || n <= most {
				return 0, err
			}
			return max(left, time.Second), nil
		}
	}
}

// assertions opens what verifies clients' JWTs.
func (b *base) assertions(cfg *config.Config) (*assertions.Authenticator, error) {
	c := assertionsConfig(cfg, b.stores.tokens.Once, cfg.Issuers...)
	c.Now, c.MaxTTL, c.Log = b.stores.tokens.Now, cfg.Limits.AssertionMaxTTL, b.log
	v, err := assertions.New(c)
	if err != nil {
		return nil, usageError{err}
	}
	return v, nil
}

func assertionsConfig(cfg *config.Config, once func(context.Context, string, time.Duration) (bool, error), issuers ...config.TrustedIssuer) assertions.Config {
	c := assertions.Config{Issuer: cfg.Issuer, TokenEndpoint: cfg.Issuer + server.PathToken, Once: once}
	for _, t := range issuers {
		c.Issuers = append(c.Issuers, assertions.Issuer{Issuer: t.Issuer, JWKSURI: t.JWKSURI, CAFile: t.CAFile, TokenFile: t.TokenFile})
	}
	return c
}

// crossOrigin lets pages of the configured origins call (the Fetch standard's CORS protocol). No cookie is ever used here, so none
// is allowed.
func crossOrigin(cfg config.CORS, h http.Handler) http.Handler {
	if len(cfg.Origins) == 0 {
		return h
	}
	return cors.New(cors.Options{
		AllowedOrigins: cfg.Origins, AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowedHeaders: append(corsHeaders(), cfg.Headers...), ExposedHeaders: []string{"Retry-After", "WWW-Authenticate", "X-Request-Id"}, MaxAge: 600,
	}).Handler(h)
}

// corsHeaders are what pages may send: what the protocol needs, and what tracing libraries of browsers add to each request by themselves
// (W3C Trace Context and Baggage, Sentry).
func corsHeaders() []string {
	return []string{"Authorization", "Content-Type", "Traceparent", "Tracestate", "Baggage", "Sentry-Trace", "X-Request-Id"}
}

// switcher serves by the configuration that is in force.
type switcher struct {
	now      atomic.Pointer[instance]
	draining atomic.Bool
	expiring atomic.Int64 // clients whose last secret ends soon

	mu  sync.Mutex
	old map[*instance]struct{} // that go on with the requests that they have
}

// ServeHTTP implements http.Handler.
func (sw *switcher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sw.now.Load().handler.ServeHTTP(w, r)
}

func (sw *switcher) admin(w http.ResponseWriter, r *http.Request) {
	sw.now.Load().server.Admin().ServeHTTP(w, r)
}

func (sw *switcher) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := sw.now.Load().certificate; c != nil {
		return c, nil
	}
	return nil, errors.New("no certificate")
}

// restore puts back what this node knows into a Redis that lost its data. What fails is told and repeated by those who follow it.
func (sw *switcher) restore(ctx context.Context) {
	in := sw.now.Load()
	_ = in.static.Refresh(ctx)
	if in.keys != nil {
		_ = in.keys.Follow(ctx)
	}
}

// drain makes readiness fall, now and in every configuration to come.
func (sw *switcher) drain() {
	sw.draining.Store(true)
	sw.now.Load().server.Drain()
}

// set puts a configuration in force. The old one goes on with the requests that it has for grace.
func (sw *switcher) set(in *instance, grace time.Duration) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	old := sw.now.Swap(in)
	if sw.draining.Load() {
		in.server.Drain()
	}
	if sw.old == nil {
		sw.old = map[*instance]struct{}{}
	}
	sw.old[old] = struct{}{}
	time.AfterFunc(grace, func() {
		old.stop()
		sw.mu.Lock()
		defer sw.mu.Unlock()
		delete(sw.old, old)
	})
}

// stop ends the configuration in force and those before it, while what they use is still there.
func (sw *switcher) stop() {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.now.Load().stop()
	for in := range sw.old {
		in.stop()
	}
}
