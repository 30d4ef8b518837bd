package grantortest

import (
	"context"
	"errors"
	"net/http"

	"github.com/grantor-auth/grantor/middleware"
)

// Fail lets the server answer every request with a status, such as 503, until Recover or the end of
// the test. Token and the other methods of Server go on.
func (s *Server) Fail(status int) {
	s.t.Helper()
	if status < 100 || status > 999 {
		s.t.Fatalf("grantortest: %d is no status of HTTP", status)
	}
	s.status.Store(int64(status))
}

// Recover ends Fail.
func (s *Server) Recover() { s.status.Store(0) }

func fail(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`{"error":"temporarily_unavailable","error_description":"grantortest: Fail"}`))
}

// Verifier checks tokens without HTTP, for tests of routes behind package middleware. Fail makes it
// fail. Give the guard the server's clock: middleware.Config{Verifier: srv.Verifier(), Now:
// srv.Now}.
func (s *Server) Verifier() middleware.Verifier {
	inner := s.node.Verifier()
	return middleware.VerifierFunc(func(ctx context.Context, token string) (*middleware.Token, error) {
		if s.status.Load() != 0 {
			return nil, errors.New("grantortest: Fail")
		}
		return inner.Verify(ctx, token)
	})
}
