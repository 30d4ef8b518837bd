package integration_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// guide is a page of docs/guides that a test follows as its reader does: from top to bottom, in an
// empty folder. The reader writes each file that the page shows whole, and pastes each command of
// the blocks that are marked with the test's name.
type guide struct {
	page     string
	here     []string // pairs for strings.NewReplacer: what stands on the page, what this machine has
	environ  []string
	programs map[string]string // the name on PATH and the program
}

// guideBlock is a marked block of a page.
var guideBlock = regexp.MustCompile("(?s)<!-- played by (\\w+) -->\n```console\n(.*?)```|<!-- code: (\\S+) -->\n```[a-z]+\n(.*?)```")

// parts returns what the page has its reader do.
func (g guide) parts(t *testing.T) (parts []pagePart) {
	t.Helper()
	text, err := os.ReadFile("../docs/guides/" + g.page)
	require.NoError(t, err)
	played := 0
	for _, m := range guideBlock.FindAllStringSubmatch(string(text), -1) {
		if m[1] == t.Name() {
			parts = append(parts, pagePart{console: m[2]})
			played++
		}
		if m[3] == "" {
			continue
		}
		if source, err := os.ReadFile("../" + m[3]); err == nil && string(source) == m[4] {
			parts = append(parts, pagePart{file: filepath.Base(m[3]), code: m[4]})
		}
	}
	require.Equal(t, strings.Count(string(text), "```console"), played, "every console block of %s is played", g.page)
	return parts
}

// follow plays the page, compares what each command writes with the page, and returns the folder.
func (g guide) follow(t *testing.T) string {
	t.Helper()
	programs, folder := t.TempDir(), t.TempDir()
	for name, program := range g.programs {
		require.NoError(t, os.Symlink(program, filepath.Join(programs, name)))
	}
	here := strings.NewReplacer(g.here...)
	script, commands := pageScript(g.parts(t), here)
	c := exec.CommandContext(t.Context(), "bash", "-c", script)
	c.Dir = folder
	c.Env = append([]string{"PATH=" + programs + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PYTHONDONTWRITEBYTECODE=1"}, g.environ...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	c.WaitDelay = 10 * time.Second
	require.NoError(t, c.Run(), out.String())
	checkPlayed(t, commands, out.String(), here)
	return folder
}

// checkPlayed compares what commands wrote with what stands below them on the page.
func checkPlayed(t *testing.T, commands []playedCommand, out string, here *strings.Replacer) {
	t.Helper()
	got, compared := strings.Split(out, "--8<--\n"), 0
	for i, command := range commands {
		if command.want == "" {
			continue
		}
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(here.Replace(command.want))), "…", "(?s:.*)")
		require.Regexp(t, "^"+pattern+"$", strings.TrimSpace(got[i]), "%s\n%s", command.text, out)
		compared++
	}
	require.Positive(t, compared)
}

// goEnviron has the go command of a reader find modules where this machine has them: first in its
// cache, so that a guide is played without a network too.
func goEnviron(t *testing.T) []string {
	t.Helper()
	of := func(name string) string {
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		require.NoError(t, err)
		return strings.TrimSpace(string(out))
	}
	cache := of("GOMODCACHE")
	return []string{"GOMODCACHE=" + cache, "GOCACHE=" + of("GOCACHE"), "GOPATH=" + of("GOPATH"), "GOSUMDB=off", "GOFLAGS=-buildvcs=false",
		"GOPROXY=file://" + filepath.ToSlash(cache) + "/cache/download," + of("GOPROXY")}
}
