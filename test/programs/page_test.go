package programs

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPage: docs/guides/programs.md shows the files that the other tests run.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/guides/programs.md")
	require.NoError(t, err)
	shown := 0
	require.NoError(t, filepath.WalkDir(examples, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Contains(t, string(page), strings.TrimSpace(string(text)), "%s", name)
		shown++
		return nil
	}))
	require.Positive(t, shown)
}
