package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/middleware"
)

// Options is what a configuration does not say. The zero value works.
type Options struct {
	Log     *slog.Logger // nil: slog.Default()
	Version string       // of the program, in metrics and spans
	Stdout  io.Writer    // takes the audit trail where [audit] output = "stdout"; nil: os.Stdout

	// Clock is the time by which tokens, sessions, signing keys and lockouts expire with store =
	// "memory"; nil: time.Now. With Redis the clock is Redis's. A clock may jump, but not back.
	Clock func() time.Time

	// Listening is called by Run when every listener is open, before the first request is served;
	// nil: not.
	Listening func(Addrs)
	// Hurry, when it is closed, makes a stopping Run skip [server] shutdown_delay; nil: never.
	Hurry <-chan struct{}
}

// Node is a running Grantor. Its methods may be called by any number of goroutines.
type Node struct {
	options   Options
	resources *resources
	current   *current
	reloads   reloads
	console   http.Handler // nil: it is not enabled
	ran       atomic.Bool
	close     func()
}

// Open opens what the configuration names and starts what runs beside the requests. When Open
// returns, the handlers answer. With store = "redis" Open waits up to 15 seconds for Redis.
//
// cfg comes from config.Load, config.Parse, or a program that filled config.Default; Open checks
// the last. The Node keeps cfg: do not change it afterwards, and give each Node its own. The error
// says what the configuration or the store lacks; then everything that was opened is closed again.
// ctx bounds Open alone.
func Open(ctx context.Context, cfg *config.Config, o Options) (*Node, error) {
	if cfg == nil {
		return nil, errors.New("node: no configuration")
	}
	if _, err := cfg.Check(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	r, err := openResources(ctx, cfg, o)
	if err != nil {
		return nil, err
	}
	first, err := r.instance(ctx, cfg)
	if err != nil {
		r.close()
		return nil, err
	}
	n := &Node{options: o, resources: r, current: newCurrent(first)}
	if n.console, err = n.openConsole(cfg); err != nil {
		first.stop()
		r.close()
		return nil, err
	}
	n.close = sync.OnceFunc(n.shut)
	r.observe(n.current)
	r.observeEnds(n.current, cfg)
	r.key.OnLoss(n.current.restore)
	n.startTasks()
	return n, nil
}

// Handler returns the public endpoints: token, introspection, revocation, metadata, key set,
// health. It serves by the configuration in force at each request.
func (n *Node) Handler() http.Handler { return n.current }

// AdminHandler returns registration (RFC 7591), the admin API, and the console where it is enabled.
// Never mount it where the public can reach it.
func (n *Node) AdminHandler() http.Handler {
	if n.console == nil {
		return http.HandlerFunc(n.current.admin)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/console" || strings.HasPrefix(r.URL.Path, "/console/") {
			n.console.ServeHTTP(w, r)
			return
		}
		n.current.admin(w, r)
	})
}

// MetricsHandler returns /metrics, health, and where [metrics] pprof is set /debug/pprof. It asks
// for no credentials.
func (n *Node) MetricsHandler() http.Handler {
	return n.resources.operator(n.Config().Metrics, n.current)
}

// Verifier checks access tokens in this process, for routes beside Handler in one program. It sees
// every token, as a resource server with introspect = "any" does.
func (n *Node) Verifier() middleware.Verifier {
	return middleware.VerifierFunc(func(ctx context.Context, text string) (*middleware.Token, error) {
		return n.current.now.Load().verifier.Verify(ctx, text)
	})
}

// Ready returns why the node cannot answer now, as GET /readyz asks; nil: it can.
func (n *Node) Ready(ctx context.Context) error { return n.current.now.Load().server.Ready(ctx) }

// Now is the store's time, by which tokens expire. A guard over Verifier takes it as its
// middleware.Config.Now.
func (n *Node) Now() time.Time { return n.resources.stores.tokens.Now() }

// Config returns the configuration in force. It must not be changed.
func (n *Node) Config() *config.Config { return n.current.now.Load().cfg }

// Go runs a task of yours until Close. run must return when its context ends. A task that ends
// earlier, by a panic too, is logged, counted and started again, and the node is not ready
// meanwhile.
func (n *Node) Go(name string, run func(context.Context)) { n.resources.background.Go(name, run) }

// Close ends every task and closes what Open opened. Stop serving the handlers first. Close may be
// called again.
func (n *Node) Close() { n.close() }

func (n *Node) shut() {
	n.resources.background.Stop() // first: tasks use the configuration in force, and one may wait in Reload
	n.reloads.end()
	n.current.stop()
	n.resources.close()
}
