//go:build unix && !linux

package redistest

import "syscall"

// attributes keeps the terminal's interrupts from a server.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
