// Package http1 serves HTTP/1.1 connections (RFC 9112) at about half of net/http's cost. It reads requests of the plain form that
// nearly every client sends: GET or POST, a path without escapes or query, a head that comes whole and in pure grammar, a small body of a stated
// length. Everything else (chunks, Expect, upgrades, other methods and versions, long or slow or odd requests) it does not judge: it
// hands the connection to net/http with every byte that it has read, and net/http keeps it. So there is one lenient reader and one that knows
// a strict subset of what that one reads (FuzzParse holds the two together), and nothing in between to smuggle through.
//
// Over TLS too, where the http.Server has a TLSConfig: a client that chooses HTTP/2 is net/http's.
package http1

import (
	"cmp"
	"context"
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

// Server serves the handler of an http.Server. Of its fields Handler, TLSConfig, ReadHeaderTimeout, IdleTimeout, WriteTimeout and ErrorLog
// count for plain requests, and all for the others. The context of a request ends when it was answered, or when the client hangs up.
type Server struct {
	http        *http.Server
	tls         *tls.Config // nil: plain TCP. http's own is net/http's to change
	log         *slog.Logger
	idle, write time.Duration
	silent      time.Duration // how long a connection may wait for its first request

	mu         sync.Mutex
	conns      map[*conn]struct{}
	handedIdle map[net.Conn]int64 // that net/http has and that wait for a request, and since when
	listener   net.Listener
	others     *handoff
	empty      chan struct{} // closed when the server stops and has no connection left
	stopping   atomic.Bool
	stopped    time.Time // when it began to stop; written before stopping is set
	given      time.Time // when a connection was last handed on

	places *places
	date   atomic.Pointer[date]

	served   atomic.Uint64
	handedOn [reasons]atomic.Uint64
}

// Config is what a Server needs beside the http.Server.
type Config struct {
	MaxConnections int          // open at once; 0: no bound. Near it, idle ones are closed, the longest idle first
	Log            *slog.Logger // is told of panics and of accepting that fails, at error level; nil: slog.Default
}

// New returns a server for h, which nobody else may serve. A timeout of zero is an hour here.
func New(h *http.Server, cfg Config) *Server {
	or := func(d time.Duration) time.Duration {
		if d <= 0 {
			return time.Hour
		}
		return d
	}
	var certificates *tls.Config
	if h.TLSConfig != nil {
		certificates = showTLS(h)
	}
	idle := or(h.IdleTimeout)
	s := &Server{http: h, tls: certificates, log: cmp.Or(cfg.Log, slog.Default()), idle: idle, write: or(h.WriteTimeout), silent: min(idle, or(h.ReadHeaderTimeout)),
		conns: map[*conn]struct{}{}, empty: make(chan struct{}), places: newPlaces(cfg.MaxConnections), handedIdle: map[net.Conn]int64{}}
	if cfg.MaxConnections > 0 {
		s.followIdle(h)
	}
	return s
}

// Counts counts requests by who read them.
type Counts struct {
	Plain    uint64            // requests served here
	HandedOn map[string]uint64 // connections that net/http serves, by the reason
	Closed   uint64            // idle connections that were closed to make place
}

// Counts returns the counts so far.
func (s *Server) Counts() Counts {
	by := map[string]uint64{}
	for r := plainForm + 1; r < reasons; r++ {
		by[r.String()] = s.handedOn[r].Load()
	}
	return Counts{s.served.Load(), by, s.places.closed.Load()}
}

// lingering is how long an idle connection stays open after the begin of a stop: a request that is on its way in that moment is answered, and
// not lost.
const lingering = 200 * time.Millisecond

// Serve accepts connections until Shutdown or Close; then it returns http.ErrServerClosed. It may be called once, and closes l.
func (s *Server) Serve(l net.Listener) error {
	defer func() { _ = l.Close() }() // whatever ends it
	s.mu.Lock()
	if s.stopping.Load() || s.listener != nil {
		s.mu.Unlock()
		return http.ErrServerClosed
	}
	s.listener, s.others = l, newHandoff(l.Addr())
	s.mu.Unlock()
	var lost atomic.Pointer[error] // what ended net/http, which ends only at a stop
	go func() {
		if err := s.http.Serve(s.others); !s.stopping.Load() {
			lost.Store(&err)
			_ = l.Close()
		}
	}()
	for wait := time.Duration(0); ; {
		s.places.await(s)
		c, err := l.Accept()
		if s.stopping.Load() {
			if err == nil {
				_ = c.Close()
			}
			return http.ErrServerClosed
		}
		if err := lost.Load(); err != nil {
			return fmt.Errorf("http1: connections cannot be handed on: %w", *err)
		}
		if err != nil {
			if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Temporary() { //nolint:staticcheck // as net/http does: no descriptor free
				return err
			}
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			s.failed("a connection could not be accepted", "error", err.Error(), "retry_after_ms", wait.Milliseconds())
			time.Sleep(wait)
			continue
		}
		wait = 0
		if one := s.add(s.places.take(c)); one != nil {
			go one.serve()
		}
	}
}

// add counts a connection; nil: it came too late, and is closed.
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

// leave counts a connection as handed on: its deadlines are net/http's from now on.
func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.given, s.given = true, time.Now()
}

// close tells Shutdown that nothing is left. It needs mu.
func (s *Server) close() {
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

// stop closes the listener, and wakes every connection that waits for a request, so that it ends soon.
func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return
	}
	s.stopped = time.Now()
	s.stopping.Store(true)
	close(s.places.stop)
	if s.listener != nil {
		_ = s.listener.Close()
	}
	for c := range s.conns {
		if !c.given {
			_ = c.net.SetReadDeadline(s.stopped.Add(lingering)) // it looks at stopping whenever it arms one itself
		}
	}
	if len(s.conns) == 0 {
		s.close()
	}
}

// Shutdown stops gracefully: no new connections, idle ones end, requests under way are answered. It returns the error of ctx when
// that takes longer.
func (s *Server) Shutdown(ctx context.Context) error {
	s.http.SetKeepAlivesEnabled(false)
	s.stop()
	select {
	case <-s.empty: // only then: until now a connection could be handed on
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	begun := s.given.Add(lingering) // net/http drops a request that it has not begun when it stops
	s.mu.Unlock()
	select {
	case <-time.After(time.Until(begun)):
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.http.Shutdown(ctx)
}

// Close ends everything at once.
func (s *Server) Close() error {
	s.stop()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.net.Close()
	}
	s.mu.Unlock()
	return s.http.Close()
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

// date is the text of RFC 9110 §6.6.1 for one second.
type date struct {
	second int64
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
