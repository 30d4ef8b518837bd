package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// reloadCommand is SIGHUP for container images without a shell.
func (p Program) reloadCommand() *cobra.Command {
	var pid int
	c := &cobra.Command{Use: "reload", Short: "Let the running server read its configuration again (as SIGHUP does)", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if pid == 0 {
				var err error
				if pid, err = findServer(); err != nil {
					return err
				}
			}
			process, err := os.FindProcess(pid)
			if err == nil {
				err = hangUp(process)
			}
			if err != nil {
				return fmt.Errorf("process %d: %w", pid, err)
			}
			fmt.Fprintf(c.OutOrStdout(), "process %d was told; its log says whether the configuration is sound\n", pid)
			return nil
		}}
	c.Flags().IntVar(&pid, "pid", 0, "the server's process (default: the only other one of this program)")
	return c
}

// findServer finds the one process beside this one that runs the same file and serves.
func findServer() (int, error) {
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return 0, usageError{errors.New("say --pid: processes cannot be looked up on this system")}
	}
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	var found []int
	for _, e := range entries {
		pid, _ := strconv.Atoi(filepath.Base(e))
		exe, err := os.Stat(e + "/exe")
		if err == nil && pid != os.Getpid() && os.SameFile(self, exe) && serves(e) {
			found = append(found, pid)
		}
	}
	switch len(found) {
	case 0:
		return 0, errors.New("no server of this program runs where this one can see it; say --pid")
	case 1:
		return found[0], nil
	}
	return 0, usageError{fmt.Errorf("several servers run: %v; say --pid", found)}
}

// serves says whether a process was started to serve: "grantor", "grantor --flag …" or "grantor
// serve …".
func serves(proc string) bool {
	line, err := os.ReadFile(proc + "/cmdline")
	if err != nil {
		return false
	}
	args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	return len(args) == 1 || strings.HasPrefix(args[1], "-") || args[1] == "serve"
}
