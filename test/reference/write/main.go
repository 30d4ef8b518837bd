// Command write writes the generated parts of docs/reference from the code:
//
//	go run ./test/reference/write
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/grantor-auth/grantor/test/reference"
)

func main() {
	pages, err := reference.Pages(".")
	for name, text := range pages {
		if failed := os.WriteFile(filepath.Join(reference.Folder, name), []byte(text), 0o644); failed != nil { // #nosec G306 -- documents
			fmt.Fprintln(os.Stderr, failed)
			os.Exit(1)
		}
	}
	if err != nil { // the pages are written: what is missing is missing there too
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
