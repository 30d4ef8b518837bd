package main

import (
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/cli"
)

func TestAssets(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	require.NoError(t, write(dir, "0.9.0", at, "../"+unit))
	t.Run("every command has a page of the manual", func(t *testing.T) {
		count := 0
		var visit func(c *cobra.Command)
		visit = func(c *cobra.Command) {
			text := page(t, filepath.Join(dir, "man", strings.ReplaceAll(c.CommandPath(), " ", "-")+".1.gz"))
			require.Contains(t, text, strings.Fields(c.Short)[0], c.CommandPath())
			require.Contains(t, text, "Grantor 0.9.0")
			require.Contains(t, text, "Nov 2026")
			require.NotContains(t, text, "Auto generated")
			count++
			for _, sub := range c.Commands() {
				visit(sub)
			}
		}
		visit(cli.Commands())
		pages, err := filepath.Glob(dir + "/man/*")
		require.NoError(t, err)
		require.Len(t, pages, count)
		require.Greater(t, count, 40)
	})
	t.Run("each shell has its completion, which the shell can read", func(t *testing.T) {
		for shell, says := range map[string]string{"bash": "complete -o default -F __start_grantor grantor", "zsh": "#compdef grantor", "fish": "complete -c grantor", "ps1": "Register-ArgumentCompleter"} {
			name := dir + "/completions/grantor." + shell
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			require.Contains(t, string(text), says)
			if program, err := exec.LookPath(shell); err == nil {
				out, err := exec.Command(program, "-n", name).CombinedOutput()
				require.NoError(t, err, string(out))
			}
		}
	})
	t.Run("the packages' unit calls the packages' binary", func(t *testing.T) {
		text, err := os.ReadFile(dir + "/grantor.service")
		require.NoError(t, err)
		require.Contains(t, string(text), "\nExecStart=/usr/bin/grantor serve --config /etc/grantor/config.toml\n")
		require.NotContains(t, string(text), "/usr/local")
		require.NotContains(t, string(text), "useradd")
		require.Error(t, packagedUnit("../../../LICENSE", filepath.Join(t.TempDir(), "none")))
	})
	t.Run("the same source writes the same bytes", func(t *testing.T) {
		again := t.TempDir()
		require.NoError(t, write(again, "0.9.0", at, "../"+unit))
		out, err := exec.Command("diff", "-r", dir, again).CombinedOutput()
		require.NoError(t, err, string(out))
	})
}

func page(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	r, err := gzip.NewReader(f)
	require.NoError(t, err)
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(text)
}
