package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTestServerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		config string
		want   string
	}{
		"without --trial":             {args: []string{"--test"}, want: "it works with --trial alone"},
		"on every address":            {args: []string{"--trial", "--test", "--listen", "0.0.0.0:0"}, want: `--listen: is "0.0.0.0:0", and --test lets`},
		"on every address, unnamed":   {args: []string{"--trial", "--test", "--listen", ":0"}, want: "must be on loopback, such as --listen 127.0.0.1:0"},
		"on an address of others":     {args: []string{"--trial", "--test", "--listen", "192.0.2.1:0"}, want: "must be on loopback"},
		"by a name":                   {args: []string{"--trial", "--test", "--listen", "auth.example.com:80"}, want: "must be on loopback"},
		"a listener of the file":      {args: []string{"--trial", "--test"}, config: "store = \"memory\"\nlisten = \":8080\"\n", want: ":2:1: listen: is \":8080\""},
		"with Redis":                  {args: []string{"--trial", "--test"}, config: "redis.url = \"redis://127.0.0.1\"\n", want: "takes no [redis]"},
		"a configuration with a typo": {args: []string{"--trial", "--test"}, config: "lisen = \"127.0.0.1:0\"\n", want: "lisen"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"serve"}, c.args...)
			file := filepath.Join(t.TempDir(), "config.toml")
			if c.config != "" {
				require.NoError(t, os.WriteFile(file, []byte(c.config), 0o600))
			}
			var stdout, stderr bytes.Buffer
			code := Main(Program{Args: append(args, "--config", file), Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr})
			require.Equal(t, 2, code, stderr.String())
			require.Contains(t, stderr.String(), c.want)
			require.Empty(t, stdout.String())
		})
	}
}
