package http1

import (
	"context"
	"time"
)

// lingering is for how long an idle connection stays open after the beginning of a stop, so that a
// request on its way in that moment is answered.
const lingering = 200 * time.Millisecond

// lingered says whether idle connections end.
func (s *Server) lingered() bool {
	return s.stopping.Load() && time.Since(s.stopped) >= lingering
}

// close ends the wait of Shutdown. It needs mu.
func (s *Server) close() {
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

// stop closes the listener, and gives every connection that waits for a request a deadline.
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
			_ = c.net.SetReadDeadline(s.stopped.Add(lingering)) // armRead looks at stopping too
		}
	}
	if len(s.conns) == 0 {
		s.close()
	}
}

// Shutdown stops gracefully: the listener closes, idle connections end, requests under way are
// answered. Shutdown returns the error of ctx when that takes longer than ctx allows.
func (s *Server) Shutdown(ctx context.Context) error {
	s.http.SetKeepAlivesEnabled(false)
	s.stop()
	select {
	case <-s.empty: // earlier, a connection could still be handed on
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	begun := s.given.Add(lingering) // by then net/http has begun to read what was handed on last
	s.mu.Unlock()
	select {
	case <-time.After(time.Until(begun)):
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.http.Shutdown(ctx)
}

// Close ends all connections at once.
func (s *Server) Close() error {
	s.stop()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.net.Close()
	}
	s.mu.Unlock()
	return s.http.Close()
}
