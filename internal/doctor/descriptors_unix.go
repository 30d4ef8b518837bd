//go:build unix

package doctor

import "syscall"

// descriptors is how many files a process of this user may open.
func descriptors() (n uint64, told bool) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, false
	}
	return uint64(r.Cur), true //nolint:unconvert // FreeBSD has int64
}
