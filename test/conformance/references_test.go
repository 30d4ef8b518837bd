package main

import (
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReferences: what a reader is pointed to is there.
func TestReferences(t *testing.T) {
	list := exec.Command("git", "ls-files")
	list.Dir = "../.."
	out, err := list.Output()
	if err != nil {
		t.Skip("no git, or no repository: ", err)
	}
	there, rows := map[string]bool{}, conformanceRows(t)
	files := strings.Fields(string(out))
	for _, name := range files {
		there[path.Base(name)] = true
	}
	page := regexp.MustCompile(`[A-Za-z0-9_-]+\.md\b`)
	row := regexp.MustCompile(`docs/evidence/conformance\.md ([A-Z]{1,3}-[0-9]+)`)
	unnamed := regexp.MustCompile(`\b(?:threats|checklist) (?:rows? )?[A-Z]{1,3}-[0-9]+`)
	for _, name := range files {
		switch path.Ext(name) {
		case ".go", ".md", ".toml", ".yml", ".yaml", ".service", ".py", ".json", "":
		default:
			continue
		}
		if strings.Contains(name, "testdata/") || strings.HasSuffix(name, "references_test.go") {
			continue
		}
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			continue // removed, and not yet committed
		}
		for _, m := range page.FindAllString(string(text), -1) {
			require.True(t, there[m] || written(m), "%s points to %s, which is not in this repository", name, m)
		}
		for _, m := range row.FindAllStringSubmatch(string(text), -1) {
			require.True(t, rows[m[1]], "%s points to %s, a row that is not there", name, m[1])
		}
		require.NotRegexp(t, unnamed, string(text), "%s: say in which page of this repository the row stands", name)
	}
}

// written says of a page whether a program of ours writes it: it is no reference.
func written(name string) bool {
	return name == "conformance.md" || name == "table.md" || name == "stream.md"
}

func conformanceRows(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, r := range rows() {
		found[r.id] = true
	}
	text, err := os.ReadFile("../../docs/evidence/conformance.md")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^\| ([A-Z]{1,3}-[0-9]+) \|`).FindAllStringSubmatch(string(text), -1) {
		found[m[1]] = true
	}
	return found
}
