package testserver

import (
	"errors"
	"time"
)

// Now is the server's time: the real time, and what Advance added.
func (s *Server) Now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// maxAhead bounds how far the clock may be moved: beyond it, times have no 64-bit nanoseconds.
const maxAhead = 100 * 365 * 24 * time.Hour

// Advance moves the server's clock by d: tokens, sessions and lockouts expire as they would after
// d. It waits for nothing.
func (s *Server) Advance(d time.Duration) error {
	if d < 0 {
		return errors.New("the clock cannot go back")
	}
	if d > maxAhead-time.Duration(s.ahead.Load()) {
		return errors.New("the clock cannot be moved by more than a hundred years")
	}
	s.ahead.Add(int64(d))
	return nil
}
