package prose

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestQuestions: each of the 42 questions that readers asked has a row with a link to the heading
// that answers it. TestLinks looks at the headings.
func TestQuestions(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| ([0-9]+) \| ([^|]{15,}\?[^|]*) \| \[[^\]]+\]\(([^)\s]+)\).* \|$`)
	text := read(t, "docs/questions.md")
	rows := row.FindAllStringSubmatch(text, -1)
	require.Len(t, rows, 42)
	for i, m := range rows {
		require.Equal(t, strconv.Itoa(i+1), m[1])
		require.Contains(t, m[3], "#", "question %s: the link leads to a heading", m[1])
		require.Empty(t, deadLink(t, "docs/questions.md", m[3]), "question %s: %s", m[1], m[2])
	}
}
