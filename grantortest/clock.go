package grantortest

import "time"

// Now is the server's time: the real time, and what Advance added.
func (s *Server) Now() time.Time { return s.inner.Now() }

// Advance moves the server's clock by d: tokens, sessions and lockouts expire as they would after
// d. It waits for nothing.
//
// Tokens that are issued afterwards begin in the future for a program that has the real time. Give
// such a program Now: it is middleware.Config.Now, and middleware.JWTConfig.Now.
func (s *Server) Advance(d time.Duration) {
	s.t.Helper()
	s.must(s.inner.Advance(d))
}
