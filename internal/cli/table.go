package cli

import (
	"strings"
	"text/tabwriter"

	"github.com/grantor-auth/grantor/internal/printable"
)

// cellWidth is the most characters of a text in a table; --json shows all of it.
const cellWidth = 60

// table is the one way in which lists are printed: a line for each row, whatever is in its texts.
type table struct {
	text strings.Builder
	w    *tabwriter.Writer
}

// newTable begins a table; without columns it has no heading.
func newTable(columns ...string) *table {
	t := &table{}
	t.w = tabwriter.NewWriter(&t.text, 0, 4, 2, ' ', 0)
	if len(columns) > 0 {
		t.row(columns...)
	}
	return t
}

func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = printable.Cell(c, cellWidth)
	}
	_, _ = t.w.Write([]byte(strings.Join(cells, "\t") + "\n")) // into memory
}

func (t *table) String() string {
	_ = t.w.Flush() // likewise
	return t.text.String()
}
