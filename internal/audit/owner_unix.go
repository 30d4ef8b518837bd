//go:build unix

package audit

import (
	"os"
	"syscall"
)

// giveAway makes a file that root has made belong to the owner of its folder.
func giveAway(f *os.File, folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}
