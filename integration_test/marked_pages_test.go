package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// markedBlocks returns the blocks of commands of a page that are marked with the test's name.
func markedBlocks(t *testing.T, page string, want int) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/guides/" + page)
	require.NoError(t, err)
	marked := regexp.MustCompile("(?s)<!-- played by " + t.Name() + " -->\n```(?:console|sh)\n(.*?)```")
	for _, m := range marked.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	require.Len(t, blocks, want)
	return blocks
}

// withGrantor is an environment whose PATH has the built program as grantor.
func withGrantor(t *testing.T) string {
	t.Helper()
	programs := t.TempDir()
	require.NoError(t, os.Symlink(built(t, module), filepath.Join(programs, "grantor")))
	return "PATH=" + programs + ":" + os.Getenv("PATH")
}

// TestTestingPage: the server for tests says what docs/guides/testing.md shows.
func TestTestingPage(t *testing.T) {
	command, shown, _ := strings.Cut(strings.TrimPrefix(markedBlocks(t, "testing.md", 1)[0], "$ "), "\n")
	p := run(t, "/bin/bash", []string{withGrantor(t)}, "-c", "exec "+command)
	pattern := regexp.QuoteMeta(strings.ReplaceAll(strings.TrimSpace(shown), "http://127.0.0.1:41234", p.URL))
	said := regexp.MustCompile("^" + strings.ReplaceAll(pattern, "…", "(?s:.*)") + "$")
	require.Eventually(t, func() bool { return said.MatchString(strings.TrimSpace(p.Out.String())) }, 10*time.Second, 20*time.Millisecond,
		"%s", p.Out)
}

// TestGatePage: the commands of docs/guides/proxy.md start a gate, ask it, and start one with an
// identity behind TLS.
func TestGatePage(t *testing.T) {
	d, issue := issuing(t)
	folder, environ := t.TempDir(), withGrantor(t)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "secret"), []byte(d.api+"\n"), 0o600))
	cert, key := certificate(t)
	addr := freeAddress(t)
	blocks := markedBlocks(t, "proxy.md", 3)
	here := strings.NewReplacer("/etc/grantor/orders-api", filepath.Join(folder, "secret"), "https://auth.example.com", issue.URL,
		"--client-id orders-api", "--client-id api", "0.0.0.0:8443", addr, "gate.crt", cert, "gate.key", key)

	gate := run(t, "/bin/bash", []string{environ}, "-c", "exec "+strings.TrimSpace(here.Replace(blocks[0]))+" --listen 127.0.0.1:0")
	ask := exec.CommandContext(t.Context(), "/bin/bash", "-c", strings.ReplaceAll(blocks[1], "http://127.0.0.1:8082", gate.URL))
	ask.Env = append(os.Environ(), "TOKEN="+d.token(t, issue))
	out, err := ask.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "200 OK")
	require.Contains(t, string(out), "Grantor-Subject: machine")

	signing := run(t, "/bin/bash", []string{environ}, "-c", "cd "+folder+" && "+strings.Replace(here.Replace(blocks[2]), "grantor gate", "exec grantor gate", 1))
	require.Equal(t, "https://"+addr, signing.URL)
	keys, err := exec.CommandContext(t.Context(), "curl", "-sf", "--cacert", cert, signing.URL+"/jwks").CombinedOutput()
	require.NoError(t, err, string(keys))
	require.Contains(t, string(keys), `"P-256"`)
}
