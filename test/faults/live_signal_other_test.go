//go:build !unix

package faults_test

import (
	"os/exec"
	"testing"
)

func halt(t *testing.T, _ *exec.Cmd) func() { t.Skip("no SIGSTOP on this system"); return nil }

func hangUp(t *testing.T, _ *exec.Cmd) { t.Skip("no SIGHUP on this system") }
