package cli

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/grantor-auth/grantor/audit"
	"github.com/grantor-auth/grantor/config"
)

// reloader puts a changed configuration in force: on SIGHUP, and when one of its files changes, certificates and secrets too. A
// broken one changes nothing, and is told once.
type reloader struct {
	program  Program
	options  config.Options
	base     *base
	switcher *switcher
	hangups  <-chan os.Signal
	told     string // the mistake that was told last
	seen     [sha256.Size]byte
}

// settle is how long files must be quiet before they are read: who writes them writes several.
const settle = 300 * time.Millisecond

func (r *reloader) run(ctx context.Context) {
	watcher, err := fsnotify.NewWatcher()
	var events <-chan fsnotify.Event // a nil channel: SIGHUP alone
	var overflows <-chan error
	if err != nil {
		r.base.log.Warn("files cannot be watched; only SIGHUP reads them again", "error", err.Error())
	} else {
		defer watcher.Close()
		events, overflows = watcher.Events, watcher.Errors
	}
	r.watch(watcher)
	quiet := time.NewTimer(settle) // a file may have changed before it was watched
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.hangups:
			r.reload(ctx, true)
			r.watch(watcher)
		case <-events:
			quiet.Reset(settle)
		case <-overflows: // look at all of them
			quiet.Reset(settle)
		case <-quiet.C:
			r.reload(ctx, false)
			r.watch(watcher)
		}
	}
}

// files are all that the configuration in force was read from.
func (r *reloader) files() []string { return filesOf(r.switcher.now.Load().cfg) }

func filesOf(cfg *config.Config) []string {
	list := append(slices.Clone(cfg.Files), cfg.SecretFiles...)
	if cfg.TLS.Mode == "files" {
		list = append(list, cfg.TLS.CertFile, cfg.TLS.KeyFile)
	}
	return list
}

// watch watches the folders of the files: editors, and Kubernetes, put another file in the place of the old one.
func (r *reloader) watch(w *fsnotify.Watcher) {
	if w == nil {
		return
	}
	for _, f := range r.files() {
		_ = w.Add(filepath.Dir(f)) // one that is gone cannot be watched; SIGHUP works all the same
	}
}

// fingerprint stands for what files hold.
func fingerprint(files []string) [sha256.Size]byte {
	h := sha256.New()
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			text = []byte(err.Error())
		}
		sum := sha256.Sum256(text)
		h.Write(sum[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// reload reads the configuration and puts it in force if it is sound. Without force only if a file holds something else.
func (r *reloader) reload(ctx context.Context, force bool) {
	before := r.files()
	now := fingerprint(before) // taken first: what changes while the files are read is read once more
	if !force && now == r.seen {
		return
	}
	r.seen = now
	old := r.switcher.now.Load()
	cfg, warnings, err := r.program.load(r.options)
	if err == nil {
		if keys := keepUntilRestart(old.cfg, cfg); len(keys) > 0 {
			r.base.log.Warn("these keys take effect at the next start; until then they are as they were", "keys", strings.Join(keys, ", "))
		}
		var next *instance
		if next, err = r.base.instance(ctx, cfg); err == nil {
			r.switcher.set(next, cfg.Server.ShutdownTimeout)
			if files := r.files(); !slices.Equal(files, before) {
				r.seen = fingerprint(files)
			}
			r.succeeded(ctx, warnings)
			return
		}
	}
	r.base.metrics.Reloaded(false)
	if text := err.Error(); text != r.told {
		r.told = text
		r.base.log.Error("the configuration is broken; the old one goes on", "error", text)
		r.base.trail.Record(ctx, audit.Event{Event: audit.ReloadFailed, Actor: "operator"})
	}
}

func (r *reloader) succeeded(ctx context.Context, warnings []string) {
	r.told = ""
	for _, w := range warnings {
		r.base.log.Warn(w)
	}
	r.base.metrics.Reloaded(true)
	r.base.log.Info("the configuration was read again and is in force")
	r.base.trail.Record(ctx, audit.Event{Event: audit.ConfigReloaded, Actor: "operator"})
}

// keepUntilRestart gives next the values of what cannot change while serving, and returns the keys that differ.
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
		{"admin.listen", old.Admin, next.Admin, func() { next.Admin = old.Admin }},
		{"metrics", old.Metrics, next.Metrics, func() { next.Metrics = old.Metrics }},
		{"audit.output", old.Audit, next.Audit, func() { next.Audit = old.Audit }},
		{"tracing.otlp_endpoint", old.Tracing, next.Tracing, func() { next.Tracing = old.Tracing }},
		{"keys", old.Keys, next.Keys, func() { next.Keys = old.Keys }},
		{"tokens.signing_alg", old.SigningAlgorithms(), next.SigningAlgorithms(), func() {}},
		{"log", old.Log, next.Log, func() { next.Log = old.Log }},
	} {
		if !reflect.DeepEqual(k.old, k.next) {
			keys = append(keys, k.key)
			k.keep()
		}
	}
	return keys
}
