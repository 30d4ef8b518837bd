package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/grantor-auth/grantor/attempts"
	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/redisdb"
	"github.com/grantor-auth/grantor/server"
	"github.com/grantor-auth/grantor/tokens"
)

func (p Program) serveCommand() *cobra.Command {
	var o config.Options
	c := &cobra.Command{Use: "serve", Short: "Serve tokens", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return p.serve(c, o) }}
	c.Flags().StringVar(&o.Path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	c.Flags().StringVar(&o.Listen, "listen", "", "host:port to listen on, instead of the configuration's")
	c.Flags().BoolVar(&o.Trial, "trial", false, "keep tokens in memory on any listener; the demo clients get fresh secrets, printed once")
	return c
}

// serve composes the server from its configuration and serves until it is told to stop.
func (p Program) serve(c *cobra.Command, o config.Options) error {
	cfg, warnings, err := p.load(o)
	if err != nil {
		return err
	}
	gin.SetMode(gin.ReleaseMode)
	log := p.logger(cfg.Log)
	for _, w := range warnings {
		log.Warn(w)
	}
	demo := demoSecrets{config.DemoMachineSecret, config.DemoAPISecret, config.DemoUserPassword}
	people, demoUsers := cfg.People(), cfg.DemoUsers()
	if cfg.Trial {
		if demo, err = demo.renew(cfg.Registrations(), people, demoUsers); err != nil {
			return err
		}
		demoUsers = nil
	}

	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	st, err := openStores(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer st.close()
	registry, err := clients.NewStatic(ctx, cfg.Registrations(), st.tokens)
	if err != nil {
		return err
	}
	var background errgroup.Group
	background.Go(func() error { registry.Run(ctx, log); return nil })
	defer func() { cancel(); _ = background.Wait() }()

	sc := serverConfig(cfg, registry, st, log)
	sc.DemoUsers = demoUsers
	directory, err := openDirectory(ctx, cfg, st.db, people)
	if err != nil {
		return err
	}
	defer directory.close()
	sc.Users = directory.authenticator
	srv, err := server.New(ctx, sc)
	if err != nil {
		return err
	}
	certificate, err := certificates(cfg.TLS)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return err
	}
	p.banner(c, cfg, l.Addr(), demo)
	return untilStopped(cfg.Server, srv, server.NewHTTP(srv, certificate, log), l, log)
}

func serverConfig(cfg *config.Config, registry clients.Registry, st *stores, log *slog.Logger) server.Config {
	sc := server.Config{
		Issuer: cfg.Issuer, Clients: registry, Catalogue: cfg.Catalogue(), Store: st.tokens,
		AccessTTL: cfg.Tokens.AccessTTL, NotBefore: cfg.Tokens.NotBefore,
		RequestsPerSecond: cfg.Limits.RequestsPerSecond, TrustedProxies: cfg.TrustedProxies, Log: log,
	}
	sc.UserScope, sc.RetryWindow = cfg.UserScope(), cfg.RetryWindow()
	sc.RefreshTTL, sc.RefreshMaxTTL = cfg.Tokens.RefreshTTL, cfg.Tokens.RefreshMaxTTL
	l := cfg.Limits
	sc.Guesses = attempts.NewGuesses(st.attempts, l.PasswordFailures, l.PasswordFailuresPerAddress, l.Window)
	for _, c := range cfg.Registrations() {
		sc.MaxFamily = max(sc.MaxFamily, c.MaxTTL)
		sc.PublicClients = sc.PublicClients || c.Public()
	}
	if n := cfg.Limits.ClientFailures; n > 0 {
		sc.ClientFailures = attempts.NewLimit(st.attempts, "client", n, time.Minute)
	}
	return sc
}

// stores is where everything lives that outlasts a request.
type stores struct {
	tokens   tokens.Store
	attempts attempts.Counter
	db       *redisdb.DB // nil with the memory store
	close    func()
}

func openStores(ctx context.Context, cfg *config.Config, log *slog.Logger) (*stores, error) {
	if cfg.Store == config.StoreMemory {
		m := tokens.NewMemory(0)
		return &stores{m, attempts.NewMemory(), nil, func() { _ = m.Close() }}, nil
	}
	db, err := openRedis(cfg.Redis, log)
	if err != nil {
		return nil, err
	}
	if err := awaitRedis(ctx, db, log); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &stores{tokens.NewRedis(db), attempts.NewRedis(db), db, func() { _ = db.Close() }}, nil
}

// openRedis opens what [redis] names.
func openRedis(r config.Redis, log *slog.Logger) (*redisdb.DB, error) {
	db, err := redisdb.Open(redisdb.Config{
		Mode: redisdb.Mode(r.Mode), URL: string(r.URL), Addrs: r.Addrs, Master: r.Master,
		Username: r.Username, Password: string(r.Password),
		SentinelUsername: r.SentinelUsername, SentinelPassword: string(r.SentinelPassword),
		TLS: r.TLS, CAFile: r.CAFile, DB: r.DB, Prefix: r.Prefix,
		Timeout: r.Timeout, WaitReplicas: r.WaitReplicas, WaitTimeout: r.WaitTimeout, Log: log,
	})
	if err != nil {
		return nil, usageError{err}
	}
	return db, nil
}

// startPatience is how long a start waits for Redis: the two are often started together.
const startPatience = 15 * time.Second

// awaitRedis waits for Redis, refuses one that would forget revocations, and says what else is worth
// knowing.
func awaitRedis(ctx context.Context, db *redisdb.DB, log *slog.Logger) error {
	for begun := time.Now(); ; {
		report, err := db.Health(ctx)
		switch {
		case err == nil && report.Evicts():
			return fmt.Errorf("redis: maxmemory-policy is %q: Redis would forget tokens and revocations silently; set it to noeviction", report.Policy)
		case err == nil:
			for _, w := range report.Warnings() {
				log.Warn(w)
			}
			return nil
		case time.Since(begun) > startPatience:
			return fmt.Errorf("redis does not answer after %s: %w", startPatience, err)
		}
		log.Warn("waiting for redis", "error", err.Error())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// certificates returns what serves TLS, or nil.
func certificates(t config.TLS) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	if t.Mode != "files" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, usageError{fmt.Errorf("tls: cert_file and key_file: %w", err)}
	}
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }, nil
}

// untilStopped serves until SIGTERM or SIGINT, then stops gracefully: readiness falls first, requests
// in flight end. An interrupt from the keyboard does not wait for balancers.
func untilStopped(stop config.Server, srv *server.Server, h *http.Server, l net.Listener, log *slog.Logger) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	served := make(chan error, 1)
	go func() {
		if h.TLSConfig != nil {
			served <- h.ServeTLS(l, "", "")
			return
		}
		served <- h.Serve(l)
	}()
	select {
	case err := <-served:
		return err
	case sig := <-signals:
		srv.Drain()
		log.Info("stopping", "signal", sig.String())
		if sig == syscall.SIGTERM {
			select {
			case <-time.After(stop.ShutdownDelay):
			case <-signals:
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), stop.ShutdownTimeout)
	defer cancel()
	if err := h.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were still running after %s", stop.ShutdownTimeout), h.Close())
	}
	return nil
}

func (p Program) logger(cfg config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // checked by config
	o := &slog.HandlerOptions{Level: level}
	f, isFile := p.Stderr.(*os.File)
	if cfg.Format == "text" || cfg.Format == "auto" && isFile && term.IsTerminal(int(f.Fd())) {
		return slog.New(slog.NewTextHandler(p.Stderr, o))
	}
	return slog.New(slog.NewJSONHandler(p.Stderr, o))
}

// banner says where the server listens and where tokens live, and with the demo clients what to
// paste next.
func (p Program) banner(c *cobra.Command, cfg *config.Config, addr net.Addr, demo demoSecrets) {
	out := c.OutOrStdout()
	where := "in memory: one node, lost at exit"
	if cfg.Store == config.StoreRedis {
		where = "in Redis"
	}
	scheme := "http"
	if cfg.TLS.Mode == "files" {
		scheme = "https"
	}
	fmt.Fprintf(out, "Grantor listens on %s://%s, issuer %s\nTokens live %s\n", scheme, addr, cfg.Issuer, where)
	if u, err := url.Parse(cfg.Issuer); err == nil && cfg.TLS.Mode == "" && u.Host != addr.String() && u.Hostname() != "localhost" {
		fmt.Fprintf(out, "Note: the issuer is not where Grantor listens; set issuer (or GRANTOR_ISSUER) to the URL that clients use\n")
	}
	if hasDemo(cfg.Registrations()) {
		reach := strings.NewReplacer("[::]", "127.0.0.1", "0.0.0.0", "127.0.0.1").Replace(addr.String())
		fmt.Fprintf(out, demoLines, scheme+"://"+reach, demo.machine, demo.api, demo.password)
	}
}
