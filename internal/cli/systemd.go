package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/grantor-auth/grantor/internal/printable"
	"github.com/grantor-auth/grantor/internal/systemd"
)

// statusEvery is how often the state that systemctl status shows is looked at.
const statusEvery = 5 * time.Second

// unit tells systemd what a server of this program does. Its zero value, and one of a process that
// systemd did not start, tells nobody.
type unit struct {
	service *systemd.Service
	handler http.Handler                // answers GET /healthz
	ready   func(context.Context) error // why the server cannot answer; nil: nobody asks
	where   string                      // the server listens

	mu   sync.Mutex
	old  bool   // the configuration on disk is not in force
	last string // status
}

func (p Program) unit(log *slog.Logger) *unit {
	return &unit{service: systemd.Open(p.variable, os.Getpid(), log)}
}

// serving says that every listener is open, and begins to tell of the state by run, which runs a
// task until the server ends.
func (u *unit) serving(where string, run func(name string, task func(context.Context))) {
	if u.service == nil {
		return
	}
	u.mu.Lock()
	u.where, u.last = where, "Serving on "+where
	u.mu.Unlock()
	u.service.Ready("Serving on " + where)
	if u.service.Watchdog() > 0 {
		run("systemd: watchdog", func(ctx context.Context) { u.service.Watch(ctx, u.alive) })
	}
	if u.ready != nil {
		run("systemd: status", u.watchStatus)
	}
}

// reloading says that another configuration is about to be put in force.
func (u *unit) reloading() {
	if u != nil {
		u.service.Reloading()
	}
}

// reloaded ends what reloading began, and says whether what is on disk is in force.
func (u *unit) reloaded(ctx context.Context, inForce bool) {
	if u == nil || u.service == nil {
		return
	}
	u.mu.Lock()
	u.old = !inForce
	u.mu.Unlock()
	status := u.status(ctx)
	u.mu.Lock()
	u.last = status
	u.mu.Unlock()
	u.service.Ready(status)
}

// stopping says that requests under way end within limit.
func (u *unit) stopping(limit time.Duration) {
	u.service.Stopping(limit, "Stopping: requests under way end first")
}

// alive asks the handler as a probe would, but needs no connection: where all are taken, the
// process is still alive.
func (u *unit) alive(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/healthz", nil)
	if err != nil {
		return err
	}
	w := &statusWriter{header: http.Header{}}
	u.handler.ServeHTTP(w, r)
	if w.code != http.StatusOK && w.code != 0 {
		return fmt.Errorf("/healthz answers %d", w.code)
	}
	return nil
}

// watchStatus tells of each change until ctx ends.
func (u *unit) watchStatus(ctx context.Context) {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		status := u.status(ctx)
		if ctx.Err() != nil {
			return
		}
		u.mu.Lock()
		same := status == u.last
		u.last = status
		u.mu.Unlock()
		if !same {
			u.service.Status(status)
		}
	}
}

// status is one line about the server.
func (u *unit) status(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, statusEvery)
	defer cancel()
	var err error
	if u.ready != nil {
		err = u.ready(ctx)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	text := "Serving on " + u.where
	if err != nil {
		text = "Not ready: " + printable.Redact(err.Error())
	}
	if u.old {
		text += "; the configuration on disk is not in force, see the log"
	}
	return text
}

// statusWriter keeps the status of an answer.
type statusWriter struct {
	header http.Header
	code   int
}

// Header implements http.ResponseWriter.
func (w *statusWriter) Header() http.Header { return w.header }

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return len(p), nil
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(code int) {
	if w.code == 0 {
		w.code = code
	}
}
