package prose

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMap: docs/README.md leads to every page. The left-hand map of the site is made from its
// links.
func TestMap(t *testing.T) {
	linked := mapped(read(t, "docs/README.md"))
	for _, name := range files(t, ".md") {
		if strings.HasPrefix(name, "docs/") && name != "docs/README.md" && !slices.Contains(linked, name) {
			t.Errorf("docs/README.md has no link to %s: add one to \"Which page for whom\"", name)
		}
	}
	require.Equal(t, []string{"docs/guides/flask.md", "README.md"}, mapped("[a](guides/flask.md#x) [b](../README.md)"))
}

// mapped returns the files that the links of docs/README.md lead to.
func mapped(text string) (names []string) {
	for _, l := range proseLinks(text) {
		to, _, _ := strings.Cut(l.text, "#")
		names = append(names, path.Join("docs", to))
	}
	return names
}
