package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTargets(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a_test.go"), []byte("package a\n\nfunc FuzzA(f *testing.F) {}\n\nfunc FuzzB(f *testing.F) {}\n\n// func FuzzC()\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.go"), []byte("package a\n\nfunc FuzzD() {}\n"), 0o600))
	list, err := targets(dir)
	require.NoError(t, err)
	require.Equal(t, []target{{dir, "FuzzA"}, {dir, "FuzzB"}}, list)
}

func TestFigure(t *testing.T) {
	require.Equal(t, 20, executions([]byte("fuzz: elapsed: 3s, execs: 10 (3/sec)\nfuzz: elapsed: 6s, execs: 20 (3/sec), new interesting: 1 (total: 4)\nPASS\n")))
	require.Equal(t, "S-55 | 2 fuzz targets for 30s each: 30 executions, at least 10 of each, 0 crashers | 0 crashers", line([]int{20, 10}, 30*time.Second))
}
