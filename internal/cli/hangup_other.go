//go:build !unix

package cli

import (
	"errors"
	"os"
)

// hangUp says what there is instead.
func hangUp(*os.Process) error {
	return errors.New("this system has no signal to reload; the server reads changed files by itself")
}
