package integration_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// program finds a program of the system, or skips the test where none is required by a variable.
func program(t *testing.T, name, required string) string {
	t.Helper()
	if path := filepath.Join("/usr/bin", name); exec.Command(path, "--version").Run() == nil {
		return path // of the system: a version manager needs the HOME of its user
	}
	path, err := exec.LookPath(name)
	if err != nil {
		require.Empty(t, os.Getenv(required), "%s is not on PATH", name)
		t.Skip(name + " is not on PATH")
	}
	return path
}

// example runs a command in a copy of a folder of examples/, with Grantor's path in GRANTOR, and
// returns what it wrote.
func example(t *testing.T, folder string, command ...string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("../examples/"+folder)))
	return inFolder(t, dir, nil, command...)
}

func inFolder(t *testing.T, dir string, environ []string, command ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), command[0], command[1:]...)
	c.Dir = dir
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GRANTOR=" + built(t, module), "PYTHONDONTWRITEBYTECODE=1"}, environ...)
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// TestTestServer: tests in other languages, with their standard libraries alone.
func TestTestServer(t *testing.T) {
	t.Run("Python", func(t *testing.T) {
		python := program(t, "python3", "GRANTOR_TEST_REQUIRE_PYTHON")
		require.Contains(t, example(t, "testing/python", python, "-W", "error", "-m", "unittest"), "Ran 5 tests")
	})
	t.Run("Node", func(t *testing.T) {
		node := program(t, "node", "GRANTOR_TEST_REQUIRE_NODE")
		require.Contains(t, example(t, "testing/node", node, "--test"), "pass 5\n")
	})
}

func TestTestEndpoints(t *testing.T) {
	asked := func(p *process) int {
		res, err := http.Post(p.URL+"/test/tokens", "application/json", strings.NewReader(`{"scope":"orders:read"}`))
		require.NoError(t, err)
		defer res.Body.Close()
		return res.StatusCode
	}
	t.Run("they are open with --trial --test, which the log says", func(t *testing.T) {
		begun := time.Now()
		p := run(t, built(t, module), nil, "serve", "--trial", "--test", "--listen", "127.0.0.1:0")
		t.Logf("serves after %s", time.Since(begun))
		require.Equal(t, 200, asked(p))
		p.Logs(t, "test endpoints are open: whoever reaches them makes tokens")
		require.Contains(t, p.Out.String(), "issuer "+p.URL+"\n", "the issuer is where it listens")
		require.Zero(t, p.stop(termination))
	})
	t.Run("V16 what tests do stands in no operator's audit trail", func(t *testing.T) {
		folder := t.TempDir()
		file, trail := filepath.Join(folder, "config.toml"), filepath.Join(folder, "audit.log")
		require.NoError(t, os.WriteFile(file, []byte("store = \"memory\"\n[audit]\noutput = \""+trail+"\"\n"), 0o600))
		p := run(t, built(t, module), nil, "serve", "--trial", "--test", "--listen", "127.0.0.1:0", "--config", file)
		require.Equal(t, 200, asked(p))
		p.Logs(t, "audit.output")
		require.Zero(t, p.stop(termination))
		require.NoFileExists(t, trail)
	})
	t.Run("they are not there with --trial alone, nor without", func(t *testing.T) {
		for _, args := range [][]string{{"serve", "--trial"}, {"serve", "--config", absolute(t, "../config.toml")}} {
			p := run(t, built(t, module), nil, append(args, "--listen", "127.0.0.1:0")...)
			require.Equal(t, 404, asked(p))
			require.NotContains(t, p.Log.String()+p.Out.String(), "/test")
		}
	})
}
