//go:build unix

package faults_test

import (
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// halt stops a process (SIGSTOP) until the returned function is called.
func halt(t *testing.T, c *exec.Cmd) (goOn func()) {
	t.Helper()
	require.NoError(t, c.Process.Signal(syscall.SIGSTOP))
	return func() { require.NoError(t, c.Process.Signal(syscall.SIGCONT)) }
}

// hangUp makes a node read its configuration again.
func hangUp(t *testing.T, c *exec.Cmd) {
	t.Helper()
	require.NoError(t, c.Process.Signal(syscall.SIGHUP))
}
