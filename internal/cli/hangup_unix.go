//go:build unix

package cli

import (
	"os"
	"syscall"
)

// hangUp lets a server read its configuration again.
func hangUp(p *os.Process) error { return p.Signal(syscall.SIGHUP) }
