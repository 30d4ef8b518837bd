package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/test/reference"
)

// TestReference: docs/reference says what the code says, and every reason, error code, command,
// metric and warning is explained.
func TestReference(t *testing.T) {
	pages, err := reference.Pages("../..")
	require.NoError(t, err)
	for _, name := range []string{"http.md", "config.md", "cli.md", "metrics-audit-logs.md"} {
		require.Contains(t, pages, name)
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join("../..", reference.Folder, name))
		require.NoError(t, err)
		if string(got) != want {
			t.Errorf("%s/%s is older than the code: run %s, look at what changed, and commit it", reference.Folder, name, reference.Command)
		}
	}
}

// TestReferenceVariables: the environment variables that the page names are those that a start
// takes. An unknown one is an error.
func TestReferenceVariables(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("../..", reference.Folder, "config.md"))
	require.NoError(t, err)
	names := regexp.MustCompile("`(GRANTOR_[A-Z0-9_]+)`(?:, `GRANTOR_[A-Z0-9_]+_FILE`)? \\|\n").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(names), 70)
	for _, name := range append(names, []string{"", "GRANTOR_REDIS__PASSWRD"}) {
		_, _, problems := config.Read(config.Options{Path: "../../config.toml", Environ: []string{name[1] + "=\x01"}})
		known := !slices.ContainsFunc(problems, func(p config.Problem) bool { return strings.Contains(p.Text, "no key has this variable") })
		require.Equal(t, name[0] != "", known, "%s: %v", name[1], problems)
	}
}
