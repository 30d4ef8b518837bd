package node

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/audit"
)

// ErrDemoSecrets: a configuration with the public secrets of the demo cannot be put in force by
// Reload. Listeners, issuer and proxies that the new configuration does not show may be in force.
var ErrDemoSecrets = errors.New("the secrets of the demo are public: a running Grantor does not take them in. Make others (grantor secret new, grantor hash-password), or restart")

var errClosed = errors.New("node: closed")

// reloads puts one configuration in force at a time.
type reloads struct {
	mu     sync.Mutex
	failed string // the last failure in the trail; "": the last reload succeeded
	closed bool
}

// end refuses reloads from now on.
func (r *reloads) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// Reload puts another configuration in force, for requests that begin afterwards. Requests under
// way end under the earlier configuration. What cannot change while serving keeps its value in cfg
// until the next start, with a warning in the log: issuer, listeners, store, [redis], [keys], [tls]
// mode, [audit], [metrics], [tracing], [admin], [log].
//
// The Node keeps cfg: do not change it afterwards. On an error the earlier configuration stays in
// force; the error is not logged, and is recorded in the audit trail once.
func (n *Node) Reload(ctx context.Context, cfg *config.Config) error {
	n.reloads.mu.Lock()
	defer n.reloads.mu.Unlock()
	if n.reloads.closed {
		return errClosed
	}
	err := n.putInForce(ctx, cfg)
	switch {
	case err == nil:
		n.recordReload(ctx)
	case ctx.Err() == nil: // otherwise the caller stopped, and nothing is wrong with cfg
		n.recordFailure(ctx, err)
	}
	return err
}

// ReloadFailed counts and records a configuration that was not passed to Reload, because it could
// not be read.
func (n *Node) ReloadFailed(ctx context.Context, err error) {
	n.reloads.mu.Lock()
	defer n.reloads.mu.Unlock()
	n.recordFailure(ctx, err)
}

// ReopenTrail continues the audit trail in the file that has the trail's name now, after the
// earlier file was moved away. On an error the trail stays in the earlier file.
func (n *Node) ReopenTrail() error { return n.resources.reopenTrail() }

func (n *Node) putInForce(ctx context.Context, cfg *config.Config) error {
	if _, err := cfg.Check(); err != nil {
		return err
	}
	old := n.Config()
	if cfg.Demo() && !old.Demo() {
		return ErrDemoSecrets
	}
	kept := keepUntilRestart(old, cfg)
	next, err := n.resources.instance(ctx, cfg)
	if err != nil {
		return err
	}
	if len(kept) > 0 {
		n.resources.log.Warn("these keys take effect at the next start", "keys", strings.Join(kept, ", "))
	}
	n.current.set(next, cfg.Server.ShutdownTimeout)
	n.resources.roster.inForce(context.WithoutCancel(ctx))
	return nil
}

func (n *Node) recordReload(ctx context.Context) {
	n.reloads.failed = ""
	n.resources.metrics.Reloaded(true)
	n.resources.log.Info("the configuration was read again and is in force")
	n.resources.trail.Record(ctx, audit.Event{Event: audit.ConfigReloaded, Actor: "operator"})
}

func (n *Node) recordFailure(ctx context.Context, err error) {
	n.resources.metrics.Reloaded(false)
	if text := err.Error(); text != n.reloads.failed {
		n.reloads.failed = text
		n.resources.trail.Record(ctx, audit.Event{Event: audit.ConfigReloadFailed, Actor: "operator"})
	}
}

// keepUntilRestart gives next the values of what cannot change while serving, and returns the keys
// that differ.
func keepUntilRestart(old, next *config.Config) (keys []string) {
	for _, k := range []struct {
		key       string
		old, next any
		keep      func()
	}{
		{"issuer", old.Issuer, next.Issuer, func() { next.Issuer = old.Issuer }},
		{"listen", old.Listen, next.Listen, func() { next.Listen = old.Listen }},
		{"store", old.Store, next.Store, func() { next.Store = old.Store }},
		{"redis", old.Redis, next.Redis, func() { next.Redis = old.Redis }},
		{"server.http1", old.Server.HTTP1, next.Server.HTTP1, func() { next.Server.HTTP1 = old.Server.HTTP1 }},
		{"tls.mode", old.TLS.Mode, next.TLS.Mode, func() { next.TLS = old.TLS }},
		{"tls.client_ca_file, tls.request_client_certs or tls.mtls_listen", asking(old.TLS), asking(next.TLS), func() { keepAsking(&next.TLS, old.TLS) }},
		{"admin", old.Admin, next.Admin, func() { next.Admin = old.Admin }},
		{"metrics", old.Metrics, next.Metrics, func() { next.Metrics = old.Metrics }},
		{"audit.output", old.Audit, next.Audit, func() { next.Audit = old.Audit }},
		{"tracing.otlp_endpoint", old.Tracing, next.Tracing, func() { next.Tracing = old.Tracing }},
		{"keys", old.Keys, next.Keys, func() { next.Keys = old.Keys }},
		{"tokens.signing_alg", old.SigningAlgorithms(), next.SigningAlgorithms(), func() {}},
		{"feed", old.Feed, next.Feed, func() { next.Feed = old.Feed }},
		{"log", old.Log, next.Log, func() { next.Log = old.Log }},
	} {
		if !reflect.DeepEqual(k.old, k.next) {
			keys = append(keys, k.key)
			k.keep()
		}
	}
	return keys
}

// asking is what a listener cannot learn while it serves: whether to ask clients for certificates.
func asking(t config.TLS) [2]string {
	return [2]string{t.MTLSListen, strconv.FormatBool(t.AsksForCertificates())}
}

// keepAsking lets the listeners of a next configuration ask as those that serve.
func keepAsking(next *config.TLS, old config.TLS) {
	next.MTLSListen, next.MTLSURL = old.MTLSListen, old.MTLSURL
	next.ClientCAFile, next.RequestClientCerts = old.ClientCAFile, old.RequestClientCerts
}
