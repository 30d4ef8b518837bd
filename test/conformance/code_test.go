package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// included is a block of code with the file that the block comes from.
var included = regexp.MustCompile("(?s)<!-- code: (\\S+) -->\n```go\n(.*?)```")

// TestCodeInDocuments: code that a document takes from a file stands in that file, which the
// compiler reads and a test runs.
func TestCodeInDocuments(t *testing.T) {
	guides, err := filepath.Glob("../../docs/guides/*.md")
	require.NoError(t, err)
	shown := map[string]bool{}
	for _, name := range append(guides, "../../README.md") {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, block := range included.FindAllStringSubmatch(string(text), -1) {
			source, err := os.ReadFile(filepath.Join("../..", block[1]))
			require.NoError(t, err, name)
			require.Contains(t, string(source), block[2], "%s shows what is not in %s", name, block[1])
			shown[block[1]] = true
		}
	}
	require.True(t, shown["examples/embed/main.go"])
	require.True(t, shown["examples/orders-api/main_test.go"])
}
