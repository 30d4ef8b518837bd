// Command grantor is an OAuth 2.0 token server: see README.md.
package main

import (
	_ "embed"
	"os"

	"github.com/grantor-auth/grantor/internal/cli"
)

// shipped is what --trial serves where there is no config.toml.
//
//go:embed config.toml
var shipped []byte

// version and revision are set by a release: -ldflags "-X main.version=0.9.0 -X main.revision=…".
var version, revision string

func main() {
	os.Exit(cli.Main(cli.Program{
		Args: os.Args[1:], Environ: os.Environ(), Shipped: shipped, Version: version, Revision: revision,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}
