package prose

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/cli"
)

// helpTexts returns what each command prints for --help, by the command as one types it.
func helpTexts(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	var visit func(words ...string)
	visit = func(words ...string) {
		text := help(t, words...)
		name := "grantor"
		for _, w := range words {
			name += " " + w
		}
		texts[name] = text
		for _, sub := range subcommands(text) {
			if sub != "help" {
				visit(append(words[:len(words):len(words)], sub)...)
			}
		}
	}
	visit()
	require.Greater(t, len(texts), 40)
	return texts
}

func help(t *testing.T, words ...string) string {
	t.Helper()
	var out, said bytes.Buffer
	status := cli.Main(cli.Program{Args: append(words, "--help"), Stdin: &bytes.Buffer{}, Stdout: &out, Stderr: &said})
	require.Zero(t, status, said.String())
	return out.String()
}

// subcommands reads the names below "Available Commands:".
func subcommands(help string) (names []string) {
	list := regexp.MustCompile(`(?s)Available Commands:\n(.*?)\n\n`).FindStringSubmatch(help)
	if list == nil {
		return nil
	}
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z-]+) `).FindAllStringSubmatch(list[1], -1) {
		names = append(names, m[1])
	}
	return names
}
