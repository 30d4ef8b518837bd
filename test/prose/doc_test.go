// Package prose holds the documents to the rules of the house: short sentences, one word for each
// thing, links that lead somewhere, console blocks that a test plays, and no name of a command,
// key, error code, reason or metric without a document. It needs nothing but Go.
package prose

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// files lists the files of the repository whose names end so, with slashes, below its root. Hidden
// folders, and those that other programs fill, are left out.
func files(t *testing.T, suffixes ...string) (names []string) {
	t.Helper()
	filled := map[string]bool{"node_modules": true, "bin": true, "dist": true, "target": true, "testdata": true}
	require.NoError(t, filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != root && (filled[d.Name()] || strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		for _, suffix := range suffixes {
			if !d.IsDir() && strings.HasSuffix(name, suffix) {
				below, err := filepath.Rel(root, name)
				require.NoError(t, err)
				names = append(names, filepath.ToSlash(below))
			}
		}
		return nil
	}))
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	require.NoError(t, err)
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// guide says of a page whether a reader follows its commands.
func guide(name string) bool {
	return name == "README.md" || path.Dir(name) == "docs/guides"
}

// generated says of a page whether a program writes it from the names of tests and figures: its
// words are theirs.
func generated(name string) bool {
	return name == "docs/evidence/conformance.md" || name == "docs/evidence/faults.md" || strings.HasPrefix(name, "test/bench/results/")
}
