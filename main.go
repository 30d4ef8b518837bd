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

func main() {
	os.Exit(cli.Main(cli.Program{
		Args: os.Args[1:], Environ: os.Environ(), Shipped: shipped,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}
