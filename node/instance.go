package node

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/background"
	"github.com/grantor-auth/grantor/internal/clientcert"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/server"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// instance is one configuration in force: a server over the resources, which stay when another
// instance takes its place.
type instance struct {
	cfg         *config.Config
	server      *server.Server
	verifier    middleware.Verifier
	handler     http.Handler // the server, with what [cors] adds
	static      *clients.Configured
	live        *clients.Cached // nil with the memory store
	proven      *clients.Proven // live, while the pulse proves it; nil likewise
	keys        *keys.Ring      // nil: no JWTs here
	certificate *tls.Certificate
	chainEnds   time.Time               // when its chain expires; zero: there is none
	ofClients   *clientcert.Source      // reads certificates of clients; nil: nobody does
	authorities *clientcert.Authorities // judges them; nil: nobody does
	feed        *feed.View
	began       time.Time // when the configuration was loaded
	fingerprint string    // of the configuration
	background  *background.Group
	stop        func()
}

// instance builds a configuration's server. The configuration in force is not affected, except for
// clients and users that have no place in the new one: their tokens end.
func (r *resources) instance(ctx context.Context, cfg *config.Config) (in *instance, err error) {
	undo, err := r.roster.begin(ctx, cfg)
	if err == nil {
		in, err = r.build(ctx, cfg)
	}
	if err != nil {
		undo()
		return nil, err
	}
	return in, nil
}

func (r *resources) build(ctx context.Context, cfg *config.Config) (in *instance, err error) {
	in = &instance{cfg: cfg, keys: r.keys, began: time.Now(), fingerprint: cfg.Fingerprint(), background: background.New(r.log, r.metrics.Background)}
	if err = in.readCertificates(); err != nil {
		return nil, err
	}
	registry, err := in.openRegistry(ctx, r)
	if err != nil {
		return nil, err
	}
	source, err := parts.Users(ctx, cfg, r.stores.db, r.slots)
	if err != nil {
		return nil, err
	}
	verifier, err := r.openAssertions(cfg)
	if err != nil {
		source.Close()
		return nil, err
	}
	asked, err := parts.ClaimsHook(cfg)
	if err != nil {
		source.Close()
		verifier.Close()
		return nil, err
	}
	in.feed = r.feed.View(feedRegistry{in.static, in.live})
	sc := r.serverConfig(in, registry)
	sc.Users, sc.DemoUsers, sc.Assertions = source.Authenticator, demoUsers(cfg), verifier
	if asked != nil {
		sc.ClaimsHook = asked
	}
	sc.Healthy = func() error { return errors.Join(r.background.Err(), in.background.Err()) }
	if in.server, err = server.New(ctx, sc); err != nil {
		source.Close()
		verifier.Close()
		in.feed.Close()
		return nil, err
	}
	in.verifier = in.server.Verifier()
	in.handler = crossOrigin(cfg.CORS, in.server)
	in.startTasks(r.log)
	in.stop = sync.OnceFunc(func() { in.background.Stop(); source.Close(); verifier.Close(); in.feed.Close(); asked.Close() })
	return in, nil
}

// readCertificates reads the server's certificate, and what reads and judges those of clients.
func (in *instance) readCertificates() (err error) {
	if in.certificate, err = parts.Certificate(in.cfg.TLS); err != nil {
		return err
	}
	if in.certificate != nil {
		in.chainEnds = firstEnd(in.certificate.Certificate)
	}
	if in.authorities, err = parts.Authorities(in.cfg.TLS); err != nil {
		return err
	}
	in.ofClients, err = in.cfg.ClientCertificates()
	return err
}

// demoUsers are those whose password everybody can read. A trial has given them another.
func demoUsers(cfg *config.Config) map[string]bool {
	if cfg.Trial {
		return nil
	}
	return cfg.DemoUsers()
}

// openRegistry opens the clients of config.toml and, on Redis, the registered ones.
func (in *instance) openRegistry(ctx context.Context, r *resources) (clients.Registry, error) {
	var err error
	list := slices.Concat(in.cfg.Registrations(), clients.Issuers(in.cfg.TrustedIssuers()))
	if in.static, err = clients.NewConfigured(ctx, list, r.stores.tokens); err != nil {
		return nil, err
	}
	if err = in.static.Announce(ctx, r.stores.tokens, in.cfg.Catalogue()); err != nil {
		return nil, err
	}
	if r.stores.db == nil {
		return in.static, nil
	}
	registered := clients.NewRedis(r.stores.db)
	if err = endReplaced(ctx, registered, in.cfg, r.log); err != nil {
		return nil, err
	}
	if in.live, err = clients.NewCached(ctx, in.static, registered, 0); err != nil {
		return nil, err
	}
	in.proven = &clients.Proven{Registry: in.live, Proof: func() error { return r.beat.Fresh(clients.StaleAfter) }}
	return in.proven, nil
}

// endReplaced ends what verifiers remember of registered clients whose place a configuration takes.
func endReplaced(ctx context.Context, registered *clients.Redis, cfg *config.Config, log *slog.Logger) error {
	var ids []string
	for _, c := range cfg.Registrations() {
		ids = append(ids, c.ID)
	}
	replaced, err := registered.EndReplaced(ctx, ids)
	for _, id := range replaced {
		log.Warn("a configured client replaces a registered client, revoking its tokens", "client_id", id)
	}
	if errors.Is(err, clients.ErrNotConfirmed) {
		log.Warn("revocation for replaced clients: too few replicas confirmed it", "error", err.Error())
		return nil
	}
	return err
}

// openAssertions opens what verifies clients' JWTs.
func (r *resources) openAssertions(cfg *config.Config) (*assertions.Checker, error) {
	c := parts.Assertions(cfg, r.stores.tokens.Once, cfg.Issuers...)
	c.Now, c.MaxTTL, c.Log = r.stores.tokens.Now, cfg.Limits.AssertionMaxTTL, r.log
	c.PassedOver = r.metrics.KeysPassedOver
	v, err := assertions.New(c)
	if err != nil {
		return nil, parts.ConfigError{Err: err}
	}
	return v, nil
}

func (in *instance) startTasks(log *slog.Logger) {
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
