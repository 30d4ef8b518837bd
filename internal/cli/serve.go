package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/internal/loopback"
	"github.com/grantor-auth/grantor/internal/printable"
	"github.com/grantor-auth/grantor/internal/redisdb"
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

// serve opens what outlasts a configuration, puts the first one in force, and serves until it is told to stop.
func (p Program) serve(c *cobra.Command, o config.Options) error {
	signal.Ignore(syscall.SIGPIPE) // a peer that hangs up, or whoever read standard output, must not end the server
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // from the beginning: unheeded, the signal kills
	defer signal.Stop(hangups)
	cfg, warnings, err := p.loadToStart(o)
	if err != nil {
		return err
	}
	from := sourcesOf(cfg)
	read := fingerprint(from)
	gin.SetMode(gin.ReleaseMode)
	log := p.logger(cfg.Log)
	for _, w := range warnings {
		log.Warn(w)
	}
	demo := demoSecrets{config.DemoMachineSecret, config.DemoAPISecret, config.DemoUserPassword}
	if cfg.Trial {
		if demo, err = demo.renew(cfg.Registrations(), cfg.ConfigUsers(), cfg.DemoUsers()); err != nil {
			return err
		}
	}
	if p.variable("GOGC") == "" && p.variable("GOMEMLIMIT") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	b, err := p.openBase(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer b.close()
	first, err := b.instance(ctx, cfg)
	if err != nil {
		return err
	}
	sw := &switcher{}
	sw.now.Store(first)
	defer sw.stop()
	b.observe(sw)
	b.key.OnLoss(sw.restore)
	listeners, err := b.listen(cfg, sw)
	if err != nil {
		return err
	}
	b.background.Go("client secrets: expiry", func(ctx context.Context) { b.watchSecrets(ctx, sw) })
	b.background.Go("configuration: what is served", b.served.run)
	if b.stores.db != nil {
		b.background.Go("server key", b.key.Run)
		b.background.Go("redis policy", (&redisWatch{base: b, warned: b.stores.warned}).run)
		b.background.Go("scopes that no client sees", (&unseenWatch{b, sw}).run)
		b.background.Go("redis clock", b.stores.db.RunClock)
	}
	if pending, ok := b.stores.tokens.(*tokens.Pending); ok {
		b.background.Go("pending revocations", pending.Run)
	}
	defer b.background.Stop() // before the instance in force stops
	if !cfg.Trial {
		r := &reloader{program: p, options: o, base: b, switcher: sw, seen: read, files: from.files, hangups: hangups}
		b.background.Go("configuration", r.run)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT) // before anybody is told that it serves
	defer signal.Stop(signals)
	p.banner(c, cfg, listeners, demo)
	return untilStopped(cfg.Server, sw, listeners, signals, log)
}

// gcPercent lets the heap grow to nearly four times of what lives, a few MiB: the collector then runs about a third as often as by
// default. At 400 nothing was cheaper that could be told from noise, and 256 busy connections took 68 MiB, not 56 (bench/). GOGC
// and GOMEMLIMIT in the environment win.
const gcPercent = 275

// stores is where everything lives that outlasts a request.
type stores struct {
	tokens   tokens.Store
	redis    *tokens.Redis // under tokens; nil with the memory store
	failures lockout.Counter
	db       *redisdb.DB // nil with the memory store
	warned   []string    // what was told of Redis at the start
	close    func()
}

func openStores(ctx context.Context, cfg *config.Config, log *slog.Logger) (*stores, error) {
	if cfg.Store == config.StoreMemory {
		m := tokens.NewMemory(0)
		return &stores{m, nil, lockout.NewMemory(), nil, nil, func() { _ = m.Close() }}, nil
	}
	db, err := openRedis(cfg.Redis, log)
	if err != nil {
		return nil, err
	}
	warned, err := awaitRedis(ctx, db, log)
	if err != nil {
		_ = db.Close() // what it says of connections that were refused helps nobody
		return nil, err
	}
	if _, err := db.Time(ctx); err != nil { // by which all lives are counted
		return nil, errors.Join(err, db.Close())
	}
	store := tokens.NewRedis(db)
	return &stores{tokens.NewPending(store), store, lockout.NewRedis(db), db, warned, func() { _ = db.Close() }}, nil
}

// listener is an address with what serves there.
type listener struct {
	name     string
	listener net.Listener
	front    *server.Front
}

// listen opens the listeners: the public one first, then those of the operator.
func (b *base) listen(cfg *config.Config, sw *switcher) ([]listener, error) {
	certificate := sw.certificate
	if cfg.TLS.Mode != "files" {
		certificate = nil
	}
	ofMetrics := certificate
	if loopback.Host(hostOf(cfg.Metrics.Listen)) { // what never leaves this machine needs no TLS
		ofMetrics = nil
	}
	var list []listener
	for _, l := range []struct {
		name    string
		addr    string
		handler http.Handler
		tls     func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	}{
		{"Grantor", cfg.Listen, sw, certificate},
		{"The admin API", cfg.Admin.Listen, http.HandlerFunc(sw.admin), certificate},
		{"Metrics", cfg.Metrics.Listen, b.operator(cfg.Metrics, sw), ofMetrics},
	} {
		if l.addr == "" {
			continue
		}
		opened, err := net.Listen("tcp", l.addr)
		if err != nil {
			for _, o := range list {
				_ = o.listener.Close()
			}
			return nil, err
		}
		front := server.NewFront(l.handler, server.FrontConfig{Certificate: l.tls, MaxConnections: maxConnections(), Log: b.log,
			HTTP1: len(list) == 0 && cfg.Server.HTTP1}) // the operator's listeners have profiles and streams to serve
		list = append(list, listener{l.name, opened, front})
	}
	b.observeReader(list[0].front)
	return list, nil
}

// unboundedConnections is how many connections a listener holds where the system does not say what it can.
const unboundedConnections = 1 << 12

// connectionsOf takes four of five descriptors.
func connectionsOf(descriptors uint64) int {
	return int(min(max(descriptors/5*4, 64), 1<<16)) //nolint:gosec // bounded
}

// untilStopped serves until SIGTERM or SIGINT, then stops gracefully: readiness falls first, requests
// in flight end. An interrupt from the keyboard does not wait for balancers.
func untilStopped(stop config.Server, sw *switcher, list []listener, signals <-chan os.Signal, log *slog.Logger) error {
	served := make(chan error, len(list))
	for _, l := range list {
		go func() { served <- l.front.Serve(l.listener) }()
	}
	select {
	case err := <-served:
		return err
	case sig := <-signals:
		sw.drain()
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
	var late error
	for _, l := range list {
		if err := l.front.Shutdown(ctx); err != nil {
			late = errors.Join(fmt.Errorf("requests were still running after %s", stop.ShutdownTimeout), l.front.Close())
		}
	}
	return late
}

func (p Program) logger(cfg config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // checked by config
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: redacted}
	f, isFile := p.Stderr.(*os.File)
	if cfg.Format == "text" || cfg.Format == "auto" && isFile && term.IsTerminal(int(f.Fd())) {
		return slog.New(slog.NewTextHandler(p.Stderr, o))
	}
	return slog.New(slog.NewJSONHandler(printableJSON{p.Stderr}, o))
}

// redacted takes secrets out of what is logged, wherever they were typed.
func redacted(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindString {
		if text := printable.Redact(a.Value.String()); text != a.Value.String() {
			a.Value = slog.StringValue(text)
		}
	}
	return a
}

// printableJSON escapes what a terminal would obey in lines of JSON.
type printableJSON struct{ io.Writer }

func (w printableJSON) Write(line []byte) (int, error) {
	_, err := w.Writer.Write(printable.JSON(line))
	return len(line), err
}

// banner says where the server listens and where tokens live, and with the demo clients what to
// paste next.
func (p Program) banner(c *cobra.Command, cfg *config.Config, listeners []listener, demo demoSecrets) {
	addr := listeners[0].listener.Addr()
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
	for _, l := range listeners[1:] {
		fmt.Fprintf(out, "%s on %s\n", l.name, l.listener.Addr())
	}
	if u, err := url.Parse(cfg.Issuer); err == nil && cfg.TLS.Mode == "" && u.Host != addr.String() && u.Hostname() != "localhost" {
		fmt.Fprintf(out, "Note: the issuer is not where Grantor listens; set issuer (or GRANTOR_ISSUER) to the URL that clients use\n")
	}
	if hasDemo(cfg.Registrations()) {
		reach := strings.NewReplacer("[::]", "127.0.0.1", "0.0.0.0", "127.0.0.1").Replace(addr.String())
		if cfg.Demo() && !cfg.Trial {
			fmt.Fprintf(out, "The secrets below are public. They work only from this machine, straight to %s://%s: no other host name, no proxy\n", scheme, reach)
		}
		fmt.Fprintf(out, demoLines, scheme+"://"+reach, demo.machine, demo.api, demo.password)
	}
}
