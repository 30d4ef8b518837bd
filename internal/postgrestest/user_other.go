//go:build !unix

package postgrestest

import (
	"syscall"
	"testing"
)

// runAs says as whom the server runs: as who runs the tests.
func runAs(testing.TB, string) *syscall.SysProcAttr { return nil }
