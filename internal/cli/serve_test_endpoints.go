package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/loopback"
	"github.com/grantor-auth/grantor/internal/testserver"
	"github.com/grantor-auth/grantor/node"
	"github.com/grantor-auth/grantor/server"
)

// testShutdown is how long requests under way may take when a test server ends.
const testShutdown = 2 * time.Second

// testBase is the configuration of "serve --trial --test" where there is no file.
const testBase = "store = \"memory\"\n"

// testConfig reads the configuration of a test server, and refuses listeners that others can reach.
func (p Program) testConfig(o config.Options) (*config.Config, []string, error) {
	if !o.Trial {
		return nil, nil, usageError{errors.New("--test lets whoever reaches Grantor make tokens: it works with --trial alone")}
	}
	from := p.options(o)
	from.BuiltIn = []byte(testBase)
	cfg, warnings, problems := config.Read(from)
	if len(problems) > 0 {
		return nil, nil, problems
	}
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil || !loopback.Host(host) {
		return nil, nil, config.Errors{cfg.Mistake(fmt.Sprintf(
			"is %q, and --test lets whoever reaches Grantor make tokens: it must be on loopback, such as --listen 127.0.0.1:0", cfg.Listen), "listen")}
	}
	return cfg, warnings, nil
}

// serveTest serves a test server until a signal stops it.
func (p Program) serveTest(c context.Context, o config.Options) error {
	signal.Ignore(syscall.SIGPIPE) // whoever read standard output must not end the server
	cfg, warnings, err := p.testConfig(o)
	if err != nil {
		return err
	}
	log := p.logger(cfg.Log)
	for _, w := range warnings {
		log.Warn(w)
	}
	warnUnserved(cfg, log)
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return err
	}
	defer listener.Close() //nolint:errcheck // the front has closed it
	url := "http://" + listener.Addr().String()
	stop := newStopper(log)
	defer stop.close()
	srv, err := testserver.Open(c, testserver.Options{
		URL: url, Base: func() *config.Config { return testable(cfg) },
		Node: node.Options{Log: log, Version: p.version(), Stdout: p.Stdout}})
	if err != nil {
		return err
	}
	defer srv.Close()
	front := server.NewFront(srv.Handler(), server.FrontConfig{HTTP1: cfg.Server.HTTP1, Log: log})
	stop.listen()
	fmt.Fprintf(p.Stdout, testLines, url, url+testserver.Root)
	log.Warn("test endpoints are open: whoever reaches them makes tokens", "url", url+testserver.Root)
	return serveUntil(stop.ctx, front, listener)
}

// testable is the configuration without what a test server does not serve.
func testable(cfg *config.Config) *config.Config {
	n := cfg.Copy()
	n.TLS, n.Tracing, n.TrustedProxies = config.TLS{}, config.Tracing{}, nil
	n.Admin.Listen, n.Metrics.Listen = "", ""
	if keepsTrail(cfg.Audit) {
		n.Audit.Output = "" // what tests do, at times that they choose, is no event of an operator's trail
	}
	return n
}

// keepsTrail says whether the audit trail is kept where it outlasts the server.
func keepsTrail(a config.Audit) bool { return a.Output != "" && a.Output != "stdout" }

// warnUnserved says which parts of a configuration a test server leaves out.
func warnUnserved(cfg *config.Config, log *slog.Logger) {
	var keys []string
	for key, set := range map[string]bool{
		"admin.listen": cfg.Admin.Listen != "", "metrics.listen": cfg.Metrics.Listen != "", "audit.output": keepsTrail(cfg.Audit), "tls.mode": cfg.TLS.Mode != "",
		"tracing.otlp_endpoint": cfg.Tracing.Endpoint != "", "users": cfg.Users.Source != config.Default().Users.Source || len(cfg.Users.Config) > 0,
	} {
		if set {
			keys = append(keys, key)
		}
	}
	if len(keys) > 0 {
		log.Warn("a test server does not use these keys", "keys", strings.Join(slices.Sorted(slices.Values(keys)), ", "))
	}
}

// serveUntil serves until ctx ends, and lets requests under way end.
func serveUntil(ctx context.Context, front *server.Front, l net.Listener) error {
	ended := make(chan error, 1)
	go func() { ended <- front.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.Background(), testShutdown)
	defer cancel()
	if err := front.Shutdown(late); err != nil {
		return errors.Join(fmt.Errorf("requests were still running after %s", testShutdown), front.Close())
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// testLines: %[1]s the address, %[2]s the test endpoints. Credentials stand in the answer of the
// first line, not here: whoever collects standard output need not keep them.
const testLines = `Grantor listens on %[1]s, issuer %[1]s
Tokens live in memory: one node, lost at exit
Test endpoints are open below %[2]s: whoever reaches them makes tokens
  To begin:  curl -s %[2]s
  A token:   curl -s -H 'Content-Type: application/json' -d '{"scope":"orders:read"}' %[2]s/tokens
  The rest:  curl -s %[2]s/openapi.json
`
