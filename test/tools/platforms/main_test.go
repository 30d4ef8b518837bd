package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":       "module m\n\ngo 1.26\n",
		"m.go":         "package m\n",
		"m_windows.go": "package m\n\nvar limit = missing\n",
		"m_test.go":    "package m\n\nimport \"syscall\"\n\nvar who = syscall.SysProcAttr{Setpgid: true}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	found, err := check(dir, "linux/arm64")
	require.NoError(t, err)
	require.Empty(t, found)
	found, err = check(dir, "windows/amd64")
	require.NoError(t, err)
	require.Len(t, found, 2, "in the package and in its tests")
	require.Contains(t, found[0]+found[1], "undefined: missing")
	require.Contains(t, found[0]+found[1], "unknown field Setpgid")
	_, err = check(dir, "windows")
	require.ErrorContains(t, err, "is no platform")
}
