package main

import (
	"os"
	"os/exec"
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
