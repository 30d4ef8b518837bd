//go:build !unix

package redistest

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }

// Pause needs signals.
func (s *Server) Pause() { s.t.Skip("no SIGSTOP on this system") }

// Resume needs signals.
func (s *Server) Resume() { s.t.Skip("no SIGCONT on this system") }
