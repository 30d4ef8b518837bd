package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConsoleRefused(t *testing.T) {
	for name, one := range map[string]struct{ text, want string }{
		"memory":      {"store = \"memory\"\n", "there is no admin listener"},
		"not enabled": {"store = \"redis\"\nredis.url = \"redis://127.0.0.1:1\"\nadmin.listen = \"127.0.0.1:8090\"\n", "[admin.console] enabled = true"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.toml")
			require.NoError(t, os.WriteFile(file, []byte(one.text), 0o600))
			code, out, said := run("", "console", "--config", file)
			require.Equal(t, 2, code)
			require.Empty(t, out)
			require.Contains(t, said, one.want)
		})
	}
}
