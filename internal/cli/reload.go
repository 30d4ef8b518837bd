package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/node"
)

// reloader puts a changed configuration in force: on SIGHUP, and when one of its files changes,
// certificates and secrets too. A broken one changes nothing, and is told once.
type reloader struct {
	program Program
	options config.Options
	node    *node.Node
	unit    *unit // nil: systemd is not told
	log     *slog.Logger
	hangups <-chan os.Signal
	told    string // the mistake that was told last
	seen    [sha256.Size]byte
	files   []string       // that seen is of
	broken  *config.Config // what could be read of the files on disk, where it is not in force; nil: it is
	waiting bool           // what is on disk is sound and not in force: Redis or another could not do its part
	known   watched
}

// Files must be quiet for settle before they are read: who writes them writes several. When they
// are not quiet they are read after patience all the same. And without any event they are looked at
// every lookEvery: not every file system tells of changes.
const (
	settle    = 300 * time.Millisecond
	patience  = 2 * time.Second
	lookEvery = 10 * time.Second
	tryEvery  = 2 * time.Second // a sound configuration that could not be put in force
)

// begin notes what the files of the first configuration hold.
func (r *reloader) begin(cfg *config.Config) {
	s := sourcesOf(cfg)
	r.seen, r.files = fingerprint(s), s.files
}

func (r *reloader) run(ctx context.Context) {
	watcher, err := fsnotify.NewWatcher()
	var events <-chan fsnotify.Event // a nil channel: it is looked
	var overflows <-chan error
	if err != nil {
		r.log.Warn("no file change events; reading the files every 10 seconds", "error", err.Error())
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
	if err := r.node.ReopenTrail(); err != nil {
		r.log.Error("cannot reopen the audit file; writing to the old file", "error", err.Error())
	}
	r.reload(ctx, true)
}

// watch watches the folders of the files that the configuration in force, and the broken one on
// disk, are read from.
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
	s := sourcesOf(r.node.Config())
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

// reload reads the configuration and puts it in force if it is sound. Without force only if a file
// holds something else, or there is another.
func (r *reloader) reload(ctx context.Context, force bool) {
	now := fingerprint(r.sources()) // taken first: what changes while the files are read is read once more
	if !force && now == r.seen && !r.waiting {
		return
	}
	r.seen = now
	r.unit.reloading()
	err := r.readAndApply(ctx)
	if err != nil && ctx.Err() != nil {
		return // the server stops, and nothing is broken
	}
	if err == nil {
		r.broken, r.told = nil, ""
	} else {
		r.broken, _, _ = config.Read(r.program.options(r.options))
		r.failed(err)
	}
	r.unit.reloaded(ctx, err == nil)
	if s := r.sources(); !slices.Equal(s.files, r.files) { // others than before: they are compared from now on
		r.seen, r.files = fingerprint(s), s.files
	}
}

func (r *reloader) readAndApply(ctx context.Context) error {
	cfg, warnings, err := r.program.load(r.options)
	r.waiting = false
	if err != nil {
		r.node.ReloadFailed(ctx, err)
		return err
	}
	if err := r.node.Reload(ctx, cfg); err != nil {
		r.waiting = !errors.Is(err, node.ErrDemoSecrets)
		return err
	}
	for _, w := range warnings {
		r.log.Warn(w)
	}
	return nil
}

// failed logs a failure, the same one once.
func (r *reloader) failed(err error) {
	if text := err.Error(); text != r.told {
		r.told = text
		message := "the configuration is invalid; keeping the old configuration"
		if r.waiting {
			message = "the new configuration cannot be applied; trying every 2 seconds"
		}
		r.log.Error(message, "error", text)
	}
}
