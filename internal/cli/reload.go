package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/audit"
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
	files    []string       // that seen is of
	broken   *config.Config // what could be read of the files on disk, where it is not in force; nil: it is
	waiting  bool           // what is on disk is sound and not in force: Redis or another could not do its part
	known    watched
}

// Files must be quiet for settle before they are read: who writes them writes several. When they are not quiet they are read
// after patience all the same. And without any event they are looked at every lookEvery: not every file system tells of changes.
const (
	settle    = 300 * time.Millisecond
	patience  = 2 * time.Second
	lookEvery = 10 * time.Second
	tryEvery  = 2 * time.Second // a sound configuration that could not be put in force
)

func (r *reloader) run(ctx context.Context) {
	watcher, err := fsnotify.NewWatcher()
	var events <-chan fsnotify.Event // a nil channel: it is looked
	var overflows <-chan error
	if err != nil {
		r.base.log.Warn("file changes are not told by the system; files are looked at every 10 seconds", "error", err.Error())
	} else {
		defer watcher.Close()
		events, overflows = watcher.Events, watcher.Errors
	}
	r.watch(watcher)
	due := time.NewTimer(settle) // a file may have changed before it was watched
	defer due.Stop()
	var first time.Time // of the events that were not heeded yet
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.hangups:
			r.hangup(ctx)
			r.watch(watcher)
			if first.IsZero() {
				due.Reset(r.next())
			}
			continue
		case e := <-events:
			if !r.known.concern(e) {
				continue
			}
		case <-overflows: // look at all of them
		case <-due.C:
			r.reload(ctx, false)
			r.watch(watcher)
			first = time.Time{}
			due.Reset(r.next())
			continue
		}
		if first.IsZero() {
			first = time.Now()
		}
		due.Reset(max(0, min(settle, time.Until(first.Add(patience)))))
	}
}

// next is when the files are looked at again where nothing tells of a change.
func (r *reloader) next() time.Duration {
	if r.waiting {
		return tryEvery
	}
	return lookEvery
}

// hangup heeds a signal: whoever puts the file of the trail aside sends one too.
func (r *reloader) hangup(ctx context.Context) {
	if err := r.base.reopenTrail(); err != nil {
		r.base.log.Error("the audit file cannot be opened again; events go on to the old one", "error", err.Error())
	}
	r.reload(ctx, true)
}

// watch watches the folders of the files that the configuration in force, and the broken one on disk, are read from.
func (r *reloader) watch(w *fsnotify.Watcher) {
	if w == nil {
		return
	}
	s := r.sources()
	r.known = s.watched()
	for _, f := range s.folders() {
		_ = w.Add(f) // one that is gone cannot be watched; it is looked at all the same
	}
}

// sources are those of the configuration in force, and of the one on disk where that is broken.
func (r *reloader) sources() sources {
	s := sourcesOf(r.switcher.now.Load().cfg)
	if r.broken != nil {
		more := sourcesOf(r.broken)
		s.files, s.patterns = append(s.files, more.files...), append(s.patterns, more.patterns...)
	}
	return s
}

// fingerprint stands for what files hold.
func fingerprint(s sources) [sha256.Size]byte {
	h := sha256.New()
	for _, f := range s.files {
		text, err := os.ReadFile(f)
		if err != nil {
			text = []byte(err.Error())
		}
		name, sum := sha256.Sum256([]byte(f)), sha256.Sum256(text)
		h.Write(name[:])
		h.Write(sum[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// reload reads the configuration and puts it in force if it is sound. Without force only if a file holds something else, or there
// is another.
func (r *reloader) reload(ctx context.Context, force bool) {
	now := fingerprint(r.sources()) // taken first: what changes while the files are read is read once more
	if !force && now == r.seen && !r.waiting {
		return
	}
	r.seen = now
	cfg, warnings, err := r.program.load(r.options)
	r.waiting = false
	if err == nil {
		err = r.putInForce(ctx, cfg)
		if err != nil && ctx.Err() != nil {
			return // the server stops, and nothing is broken
		}
		r.waiting = err != nil && !errors.Is(err, errLateDemo)
	}
	if err == nil {
		r.broken = nil
		r.succeeded(ctx, warnings)
	} else {
		r.broken, _, _ = config.Read(r.program.options(r.options))
		r.failed(ctx, err)
	}
	if s := r.sources(); !slices.Equal(s.files, r.files) { // others than before: they are compared from now on
		r.seen, r.files = fingerprint(s), s.files
	}
}

func (r *reloader) putInForce(ctx context.Context, cfg *config.Config) error {
	old := r.switcher.now.Load()
	if cfg.Demo() && !old.cfg.Demo() {
		return errLateDemo
	}
	keys := keepUntilRestart(old.cfg, cfg)
	next, err := r.base.instance(ctx, cfg)
	if err != nil {
		return err
	}
	if len(keys) > 0 {
		r.base.log.Warn("these keys take effect at the next start; until then they are as they were", "keys", strings.Join(keys, ", "))
	}
	r.switcher.set(next, cfg.Server.ShutdownTimeout)
	return nil
}

func (r *reloader) failed(ctx context.Context, err error) {
	r.base.metrics.Reloaded(false)
	if text := err.Error(); text != r.told {
		r.told = text
		message := "the configuration is broken; the old one goes on"
		if r.waiting {
			message = "the configuration is sound and could not be put in force; the old one goes on, and it is tried again every 2 seconds"
		}
		r.base.log.Error(message, "error", text)
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

// errLateDemo: a listener, an issuer and a proxy that the new file does not show may be in force.
var errLateDemo = errors.New("the secrets of the demo are public: they work only in a process that was started with them; make others (grantor secret new, grantor hash-password), or restart")

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
		{"admin", old.Admin, next.Admin, func() { next.Admin = old.Admin }},
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
