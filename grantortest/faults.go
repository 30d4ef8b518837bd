package grantortest

import (
	"context"
	"errors"

	"github.com/grantor-auth/grantor/middleware"
)

// Fail lets the server answer every request with a status, such as 503, until Recover or the end of
// the test. Token and the other methods of Server go on.
func (s *Server) Fail(status int) {
	s.t.Helper()
	s.must(s.inner.Fail(status, 0))
}

// FailNext is Fail for the next n requests.
func (s *Server) FailNext(n, status int) {
	s.t.Helper()
	if n < 1 {
		s.t.Fatalf("grantortest: FailNext(%d, …) lets no request fail: n must be 1 or more", n)
	}
	s.must(s.inner.Fail(status, n))
}

// Recover ends Fail.
func (s *Server) Recover() { s.inner.Recover() }

// Verifier checks tokens without HTTP, for tests of routes behind package middleware. Fail makes it
// fail. Give the guard the server's clock: middleware.Config{Verifier: srv.Verifier(), Now:
// srv.Now}.
func (s *Server) Verifier() middleware.Verifier {
	inner := s.inner.Node().Verifier()
	return middleware.VerifierFunc(func(ctx context.Context, token string) (*middleware.Token, error) {
		if s.inner.Failing() {
			return nil, errors.New("grantortest: Fail")
		}
		return inner.Verify(ctx, token)
	})
}
