package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

func TestDidYouMean(t *testing.T) {
	for call, want := range map[string]string{
		"clinet list":                 `grantor: "clinet" is no command or argument of grantor; did you mean "grantor client"?`,
		"client lst":                  `grantor: "lst" is no command or argument of grantor client; did you mean "grantor client list"?`,
		"client shwo billing":         `did you mean "grantor client show"?`,
		"completion bsh":              `did you mean "grantor completion bash"?`,
		"client list --jsn":           `grantor: unknown flag: --jsn of grantor client list; did you mean --json?`,
		"client list --confg x":       `did you mean --config?`,
		"--verison":                   `did you mean --version?`,
		"client create --grant-typ x": `did you mean --grant-type?`,
		"client frobnicate":           `is no command or argument of grantor client; see grantor client --help`,
		"client ls":                   `"ls" is no command or argument of grantor client; see grantor client --help`,
		"client list --frobnicate":    `unknown flag: --frobnicate; see grantor client list --help`,
		"client list -x":              `unknown shorthand flag: 'x' in -x; see grantor client list --help`,
	} {
		t.Run(call, func(t *testing.T) {
			code, out, stderr := run("", strings.Fields(call)...)
			require.Equal(t, 2, code)
			require.Empty(t, out)
			require.Contains(t, stderr, want)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		})
	}
}

// lastFailure reads the last line of standard error, which holds nothing but error and fix.
func lastFailure(t *testing.T, stderr string) (f failure) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	d := json.NewDecoder(strings.NewReader(lines[len(lines)-1]))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&f), stderr)
	require.Contains(t, lines[len(lines)-1], `"fix":`)
	return f
}

func TestErrorsInJSON(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.toml")
	for call, want := range map[string]failure{
		"client lst --json":           {`"lst" is no command or argument of grantor client`, `did you mean "grantor client list"?`},
		"client show --json":          {"grantor client show takes ID", "see --help"},
		"client list --json --frobn":  {"unknown flag: --frobn", "see grantor client list --help"},
		"client --json":               {"grantor client needs one of: ", "see grantor client --help"},
		"token revoke --json --confi": {"unknown flag: --confi of grantor token revoke", "did you mean --config?"},
	} {
		t.Run(call, func(t *testing.T) {
			code, out, stderr := run("", strings.Fields(call)...)
			require.Equal(t, 2, code)
			require.Empty(t, out)
			require.Equal(t, 1, strings.Count(stderr, "\n"), "one line")
			got := lastFailure(t, stderr)
			require.True(t, strings.HasPrefix(got.Error, want.Error), got.Error)
			require.Equal(t, want.Fix, got.Fix)
		})
	}
	t.Run("without --json it is text", func(t *testing.T) {
		_, _, stderr := run("", "client", "show")
		require.True(t, strings.HasPrefix(stderr, "grantor: "), stderr)
		_, _, stderr = run("", "client", "show", "--json=false")
		require.True(t, strings.HasPrefix(stderr, "grantor: "), stderr)
	})
	t.Run("a secret that was typed as a name is in no error", func(t *testing.T) {
		_, _, stderr := run("", "client", "gcs_0123456789abcdefghijklmnop", "--json")
		require.NotContains(t, stderr, "gcs_0123456789abcdefghijklmnop")
		lastFailure(t, stderr)
	})
	t.Run("what a terminal would obey is escaped", func(t *testing.T) {
		_, _, stderr := run("", "client", "show", "a", "b\x1b[2J", "--json")
		require.NotContains(t, stderr, "\x1b")
		line := string(failure{Error: "a\u202eb\x1b[2J"}.line())
		require.NotContains(t, line, "\u202e")
		require.Equal(t, "a\u202eb\x1b[2J", lastFailure(t, line).Error)
	})
	t.Run("every command with --json, with a configuration that is not there", func(t *testing.T) {
		asked := 0
		var walk func(*cobra.Command, []string)
		walk = func(c *cobra.Command, path []string) {
			for _, sub := range c.Commands() {
				walk(sub, append(path[:len(path):len(path)], sub.Name()))
			}
			f := c.Flag("json")
			if f == nil || c.HasSubCommands() || c.Name() == "doctor" || c.Flag("config") == nil && c.InheritedFlags().Lookup("config") == nil {
				return
			}
			args := append(path, "--json", "--config", none)
			for range strings.Count(c.Use, " ") {
				args = append(args, "x")
			}
			code, out, stderr := run("", args...)
			if code == 0 || out != "" { // config check answers on standard output
				return
			}
			asked++
			got := lastFailure(t, stderr)
			require.NotEmpty(t, got.Error, args)
		}
		root := Program{}.root()
		walk(root, nil)
		require.Greater(t, asked, 25)
	})
}
