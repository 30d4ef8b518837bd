package redistest

import "syscall"

// attributes makes a server die with the test's process, however that ends, and keeps the
// terminal's interrupts from it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
