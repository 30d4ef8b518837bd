// Package server is a small house, for the test of -walk.
package server

import "github.com/grantor-auth/grantor/test/tools/survey/testdata/walk/store"

// Server answers.
type Server struct{ kept store.Store }

// Token passes errors.go first, then grant.go, and by the interface two wrappers and a store.
func (s *Server) Token(text string) error {
	if text == "" {
		return refuse()
	}
	check := s.mayAsk // named and not called: it counts
	if check() != nil {
		return nil
	}
	return s.kept.Load(text)
}

func known() bool { return true }
