package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNamedTestsExist: a document that names a test as proof names one that is there.
func TestNamedTestsExist(t *testing.T) {
	list, err := exec.Command("git", "-C", "../..", "ls-files", "*.md").Output()
	require.NoError(t, err)
	found, err := exec.Command("git", "-C", "../..", "grep", "-hoE", `^func Test[A-Za-z0-9_]+`, "--", "*_test.go").Output()
	require.NoError(t, err)
	known := map[string]bool{}
	for line := range strings.Lines(string(found)) {
		known[strings.TrimPrefix(strings.TrimSpace(line), "func ")] = true
	}
	require.NotEmpty(t, known)
	for name := range strings.Lines(string(list)) {
		text, err := os.ReadFile("../../" + strings.TrimSpace(name))
		require.NoError(t, err)
		for _, m := range regexp.MustCompile("`(Test[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(text), -1) {
			require.True(t, known[m[1]], "%s names %s", strings.TrimSpace(name), m[1])
		}
	}
}

// TestNamedFilesExist: a recipe or a map of the house names files that are there. Names with <…>, …
// or a star are patterns.
func TestNamedFilesExist(t *testing.T) {
	named := regexp.MustCompile("`([a-z0-9_]+/[A-Za-z0-9_./*<>-]*|[a-z0-9_]+\\.(?:go|toml|json|yml))(?: |`)")
	for _, page := range []string{"CONTRIBUTING.md", "docs/explain/design.md", "docs/explain/house.md"} {
		text, err := os.ReadFile("../../" + page)
		require.NoError(t, err)
		found := named.FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, found, page)
		for _, m := range found {
			if strings.ContainsAny(m[1], "<>") || strings.HasPrefix(m[1], "bin/") || m[1] == "testdata/fuzz/" {
				continue
			}
			there, err := filepath.Glob("../../" + m[1])
			require.NoError(t, err)
			require.NotEmpty(t, there, "%s names %s", page, m[1])
		}
	}
}
