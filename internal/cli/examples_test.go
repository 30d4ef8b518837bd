package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// TestExamples: each command has an example, and each example is a call that the command takes:
// its flags exist, and its arguments fit.
func TestExamples(t *testing.T) {
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.HasSubCommands() && c.HasParent() {
			return
		}
		if c.HasParent() {
			require.NotEmpty(t, c.Example, "%s has no example: add it to internal/cli/examples.go", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			call, ok := strings.CutPrefix(strings.TrimSpace(line), "grantor ")
			if !ok { // a line of another program, or that goes on
				continue
			}
			fresh := Commands() // flags keep what was parsed
			found, rest, err := fresh.Find(wordsOf(call))
			require.NoError(t, err, line)
			require.Equal(t, c.CommandPath(), found.CommandPath(), line)
			require.NoError(t, found.ParseFlags(rest), line)
			if found.Args != nil {
				require.NoError(t, found.Args(found, found.Flags().Args()), line)
			}
			seen++
		}
	}
	walk(Commands())
	require.Greater(t, seen, 40)
	for path := range examples() {
		c, _, err := Commands().Find(strings.Fields(path))
		require.NoError(t, err)
		require.Equal(t, "grantor "+path, c.CommandPath(), "no such command: strike the example")
	}
}

// wordsOf parts a call into words as a shell does, up to a redirection.
func wordsOf(call string) (words []string) {
	word, quoted := "", false
	for _, c := range call + " " {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ' ' && !quoted:
			if word == ">" || word == "<" || word == "|" || word == `\` {
				return words
			}
			if word != "" {
				words = append(words, word)
			}
			word = ""
		default:
			word += string(c)
		}
	}
	return words
}
