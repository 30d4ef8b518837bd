package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSurvey(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	write("a/one.go", "package a\n\n// T is one.\ntype T struct{}\n\nfunc F() { g() }\n")
	write("a/two.go", "package a\n\nfunc g() { F() }\n// "+strings.Repeat("x", 120)+"\n")
	write("internal/b/b.go", "package b\n\ntype T int\n\nvar Exported = 1\n")
	write("a/one_test.go", "package a\n\nfunc H() {}\n")
	h, err := survey(root)
	require.NoError(t, err)
	require.Equal(t, 2, h.top)
	require.Len(t, h.files, 3)
	require.Equal(t, 2, h.exported, "T and F; internal is nobody's to import")
	require.Equal(t, []string{"t"}, h.doubles())
	require.Equal(t, 1, h.wideComments)
	uses, circular := h.arrows()
	require.Equal(t, [2]int{2, 2}, [2]int{uses, circular})
	var out strings.Builder
	h.print(&out)
	require.Contains(t, out.String(), "median 1, 90th 1, longest 1 lines")
}
