package server

import "fmt"

// mayAsk climbs twice: to token.go, which waits, and to errors.go, which was left.
func (s *Server) mayAsk() error {
	if !known() {
		return refuse()
	}
	return fmt.Errorf("%w", refuse())
}

// CalledBack is where another module's code calls.
func CalledBack() { alone() }
