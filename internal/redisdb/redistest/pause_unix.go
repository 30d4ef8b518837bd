//go:build unix

package redistest

import "syscall"

// Pause stops the process (SIGSTOP) without closing its connections; Resume lets it go on.
func (s *Server) Pause() { s.must(s.cmd.Process.Signal(syscall.SIGSTOP)) }

// Resume ends a Pause.
func (s *Server) Resume() { s.must(s.cmd.Process.Signal(syscall.SIGCONT)) }
