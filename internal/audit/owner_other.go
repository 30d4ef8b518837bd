//go:build !unix

package audit

import "os"

// giveAway does nothing: a new file has the rights of its folder here.
func giveAway(*os.File, string) error { return nil }
