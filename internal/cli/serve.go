package cli

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel"
	"golang.org/x/term"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/printable"
	"github.com/grantor-auth/grantor/node"
)

func (p Program) serveCommand() *cobra.Command {
	var o config.Options
	var test bool
	c := &cobra.Command{Use: "serve", Short: "Serve tokens", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if test {
				return p.serveTest(c.Context(), o)
			}
			return p.serve(c, o)
		}}
	c.Flags().StringVar(&o.Path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	c.Flags().StringVar(&o.Listen, "listen", "", "host:port to listen on, instead of the configuration's")
	c.Flags().BoolVar(&o.Trial, "trial", false, "keep tokens in memory on any listener; the demo clients get fresh secrets, printed once")
	c.Flags().BoolVar(&test, "test", false, "with --trial, on loopback: endpoints below /test. Tests in any language make and revoke tokens there, and move the clock")
	return c
}

// serve reads the configuration, opens a node, and serves until a signal stops it.
func (p Program) serve(c *cobra.Command, o config.Options) error {
	signal.Ignore(syscall.SIGPIPE) // a peer that hangs up, or whoever read standard output, must not end the server
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // from the beginning: unheeded, the signal kills
	defer signal.Stop(hangups)
	cfg, warnings, err := p.loadToStart(o)
	if err != nil {
		return err
	}
	r := &reloader{program: p, options: o, hangups: hangups, log: p.logger(cfg.Log)}
	r.begin(cfg)
	for _, w := range warnings {
		r.log.Warn(w)
	}
	demo, err := demoSecretsOf(cfg)
	if err != nil {
		return err
	}
	p.tuneCollector()
	logTracing(r.log)
	stop, u := newStopper(r.log), p.unit(r.log)
	defer stop.close()
	var n *node.Node
	n, err = node.Open(c.Context(), cfg, node.Options{Log: r.log, Version: p.version(), Stdout: p.Stdout, Hurry: stop.hurry,
		Listening: func(at node.Addrs) {
			stop.listen() // before the banner says that Grantor serves
			p.banner(c, cfg, at, demo)
			u.serving(at.Public.String(), n.Go)
		}})
	if err != nil {
		return err
	}
	defer n.Close()
	u.handler, u.ready = n.Handler(), n.Ready
	stop.told = func() { u.stopping(stopLimit(n.Config().Server)) }
	if !cfg.Trial {
		r.node, r.unit = n, u
		n.Go("configuration", r.run)
	}
	return n.Run(stop.ctx)
}

// stopLimit is how long a stop may take, with some time to close what is open.
func stopLimit(s config.Server) time.Duration {
	return s.ShutdownDelay + s.ShutdownTimeout + 5*time.Second
}

// logTracing takes what the tracing library would write to standard error by itself, such as a
// malformed OTEL_ variable, into the log.
func logTracing(log *slog.Logger) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("the tracing library reports a fault", "error", err.Error())
	}))
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))
}

// gcPercent lets the heap grow to nearly four times of what is in use, a few MiB: the collector
// then runs about a third as often as by default. At 400 nothing was cheaper that could be told
// from noise, and 256 busy connections took 68 MiB, not 56.
const gcPercent = 275

// tuneCollector sets gcPercent, unless the environment says how to collect.
func (p Program) tuneCollector() {
	if p.variable("GOGC") == "" && p.variable("GOMEMLIMIT") == "" {
		debug.SetGCPercent(gcPercent)
	}
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
func (p Program) banner(c *cobra.Command, cfg *config.Config, at node.Addrs, demo demoSecrets) {
	addr := at.Public
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
	if at.MTLS != nil {
		fmt.Fprintf(out, "Clients with certificates on %s\n", at.MTLS)
	}
	if at.Admin != nil {
		fmt.Fprintf(out, "The admin API on %s\n", at.Admin)
		if cfg.Admin.Console.Enabled {
			fmt.Fprintf(out, "The console on %s/console/: \"grantor console\" prints a link that logs in\n", consoleURL(cfg))
		}
	}
	if at.Metrics != nil {
		fmt.Fprintf(out, "Metrics on %s\n", at.Metrics)
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
