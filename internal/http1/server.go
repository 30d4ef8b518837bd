package http1

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves the handler of an http.Server. For plain requests, the fields Handler, TLSConfig,
// ReadHeaderTimeout, IdleTimeout, WriteTimeout and ErrorLog of the http.Server count; for the
// others all of its fields.
type Server struct {
	http        *http.Server
	tls         *tls.Config // nil: plain TCP. A copy: net/http changes its own
	log         *slog.Logger
	idle, write time.Duration
	silent      time.Duration // for which a connection may wait for its first request

	mu         sync.Mutex
	conns      map[*conn]struct{}
	handedIdle map[net.Conn]int64 // idle connections of net/http, since when (Unix time, ns)
	listener   net.Listener
	others     *handoff
	empty      chan struct{} // closed when the server stops and no connection is left
	stopping   atomic.Bool
	stopped    time.Time // when the stop began; written before stopping is set
	given      time.Time // when a connection was last handed on

	places *places
	date   atomic.Pointer[date]

	served   atomic.Uint64
	handedOn [handOnReasons]atomic.Uint64
}

// Config is what a Server needs beside the http.Server.
type Config struct {
	// MaxConnections bounds the open connections; 0: no bound. Near the bound, those that are idle
	// longest are closed.
	MaxConnections int
	Log            *slog.Logger // of panics and accept errors, at error level; nil: slog.Default
}

// New returns a server for h, which nobody else may serve. A timeout of zero means an hour.
func New(h *http.Server, cfg Config) *Server {
	idle := orHour(h.IdleTimeout)
	s := &Server{http: h, log: cmp.Or(cfg.Log, slog.Default()), idle: idle, write: orHour(h.WriteTimeout),
		silent: min(idle, orHour(h.ReadHeaderTimeout)), places: newPlaces(cfg.MaxConnections),
		conns: map[*conn]struct{}{}, handedIdle: map[net.Conn]int64{}, empty: make(chan struct{})}
	if h.TLSConfig != nil {
		s.tls = showTLS(h)
	}
	if cfg.MaxConnections > 0 {
		s.followIdle(h)
	}
	return s
}

func orHour(d time.Duration) time.Duration {
	if d <= 0 {
		return time.Hour
	}
	return d
}

// Counts are what a server has done since its start.
type Counts struct {
	Plain    uint64            // requests that the package served
	HandedOn map[string]uint64 // connections that net/http serves, by reason
	Closed   uint64            // idle connections that were closed near the bound
}

// Counts returns the counts of the server.
func (s *Server) Counts() Counts {
	by := map[string]uint64{}
	for r := notHandedOn + 1; r < handOnReasons; r++ {
		by[r.String()] = s.handedOn[r].Load()
	}
	return Counts{s.served.Load(), by, s.places.closed.Load()}
}

// Serve accepts connections until Shutdown or Close, and then returns http.ErrServerClosed. Serve
// may be called once, and closes l.
func (s *Server) Serve(l net.Listener) error {
	defer func() { _ = l.Close() }()
	if !s.listen(l) {
		return http.ErrServerClosed
	}
	var lost atomic.Pointer[error] // what ended net/http, which ends only at a stop
	go func() {
		if err := s.http.Serve(s.others); !s.stopping.Load() {
			lost.Store(&err)
			_ = l.Close()
		}
	}()
	err := s.accept(l)
	if s.stopping.Load() {
		return http.ErrServerClosed
	}
	if end := lost.Load(); end != nil {
		return fmt.Errorf("http1: connections cannot be handed on: %w", *end)
	}
	return err
}

// listen takes the listener. It is false after a stop, and for a second listener.
func (s *Server) listen(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() || s.listener != nil {
		return false
	}
	s.listener, s.others = l, newHandoff(l.Addr())
	return true
}

// accept serves connections until the listener is closed or fails for good.
func (s *Server) accept(l net.Listener) error {
	for wait := time.Duration(0); ; {
		s.places.await(s)
		nc, err := l.Accept()
		switch {
		case err == nil:
			wait = 0
			if c := s.add(s.places.take(nc)); c != nil {
				go c.serve()
			}
		case s.stopping.Load() || !isTemporary(err):
			return err
		default:
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			s.failed("a connection could not be accepted", "error", err.Error(), "retry_after_ms", wait.Milliseconds())
			time.Sleep(wait)
		}
	}
}

// isTemporary says whether to accept again, as net/http does: no file descriptor is free, or so.
func isTemporary(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Temporary() //nolint:staticcheck // as net/http does
}

// add counts a connection; nil: the server stops, and the connection is closed.
func (s *Server) add(nc net.Conn) *conn {
	c := newConn(s, nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		_ = nc.Close()
		return nil
	}
	s.conns[c] = struct{}{}
	return c
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) == 0 && s.stopping.Load() {
		s.close()
	}
}

// leave notes a connection as handed on: its deadlines are set by net/http from now on.
func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.given, s.given = true, time.Now()
}

func (s *Server) failed(what string, attrs ...any) {
	s.log.Error("http1: "+what, attrs...)
}

func (s *Server) logf(format string, args ...any) {
	if s.http.ErrorLog != nil {
		s.http.ErrorLog.Printf(format, args...)
	} else {
		log.Printf(format, args...)
	}
}

// date is the text of one second (RFC 9110 §6.6.1).
type date struct {
	second int64 // Unix time
	text   string
}

func (s *Server) dateOf(t time.Time) string {
	d := s.date.Load()
	if d == nil || d.second != t.Unix() {
		d = &date{t.Unix(), t.UTC().Format(http.TimeFormat)}
		s.date.Store(d)
	}
	return d.text
}
