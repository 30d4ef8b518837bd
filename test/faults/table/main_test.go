package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	t.Run("rows are sorted, lines of one row keep their order", func(t *testing.T) {
		var b strings.Builder
		require.NoError(t, write(&b, "S-22 | b | 0\nS-20 | z | 0\nS-20 | a | 0\n"))
		require.True(t, strings.HasSuffix(b.String(), "|---|---|---|\n| S-20 | z | 0 |\n| S-20 | a | 0 |\n| S-22 | b | 0 |\n"), b.String())
	})
	t.Run("a line of another form is refused", func(t *testing.T) {
		require.ErrorContains(t, write(&strings.Builder{}, "S-20 | z | 0\nS-20 z"), "line 2")
		require.Error(t, write(&strings.Builder{}, ""))
	})
}
