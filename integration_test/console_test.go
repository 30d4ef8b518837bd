package integration_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// consoleOf returns the console block that a page marks as played by a test.
func consoleOf(t *testing.T, page, test string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)<!-- played by " + test + " -->\n```console\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, block, "%s has no block for %s", page, test)
	return string(block[1])
}

// playConsole plays a console block: the lines that begin with $, against what stands below each,
// where … stands for anything. Commands that skip holds for are not run.
func playConsole(t *testing.T, block string, here *strings.Replacer, skip func(command string) bool) {
	t.Helper()
	var commands, want []string
	for line := range strings.Lines(block) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			commands, want = append(commands, strings.TrimSpace(command)), append(want, "")
			continue
		}
		want[len(want)-1] += line
	}
	var script strings.Builder
	script.WriteString("set -u\n")
	for _, c := range commands {
		if skip(c) {
			c = "true"
		}
		script.WriteString(here.Replace(c) + "; echo; echo '--8<--'\n")
	}
	out, err := exec.CommandContext(t.Context(), "bash", "-c", script.String()).CombinedOutput() //nolint:gosec // a page of ours
	require.NoError(t, err, string(out))
	got := strings.Split(string(out), "--8<--\n")
	for i, c := range commands {
		if want[i] == "" || skip(c) {
			continue
		}
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(here.Replace(want[i]))), "…", "(?s:.*)")
		require.Regexp(t, "^"+pattern+"$", strings.TrimSpace(got[i]), c)
	}
}
