//go:build !unix

package integration_test

import (
	"syscall"
	"testing"
)

// postgresUser says as whom the server runs: as who runs the tests.
func postgresUser(*testing.T, string) *syscall.SysProcAttr { return nil }
