//go:build unix

package node

import "syscall"

// maxConnections is how many connections a listener holds: four of five file descriptors, so that
// the rest, Redis above all, has some left. More wait to be accepted (docs/evidence/conformance.md
// S-43).
func maxConnections() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return unboundedConnections
	}
	return connectionsOf(uint64(r.Cur)) //nolint:unconvert // FreeBSD has int64
}
