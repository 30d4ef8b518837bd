package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/users"
)

// run runs a command line in process.
func run(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = Main(Program{Args: args, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &err})
	return code, out.String(), err.String()
}

func TestSecretNew(t *testing.T) {
	code, out, _ := run("", "secret", "new", "--json")
	require.Zero(t, code)
	var answer map[string]string
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	require.Equal(t, clients.HashSecret(answer["client_secret"]).String(), answer["hash"])
}

func TestHashSecret(t *testing.T) {
	const secret = "gcs_0123456789abcdefghijklmnop"
	code, out, _ := run(secret+"\n", "hash-secret", "--secret-stdin")
	require.Zero(t, code)
	require.Equal(t, clients.HashSecret(secret).String()+"\n", out, "the hash alone on stdout")
	for name, weak := range map[string]string{"a word": "hunter2", "a pattern": strings.Repeat("ab", 40), "nothing": "", "not ASCII": "é123456789012345678901234567890"} {
		t.Run("CA-15 §10.10 "+name+" is refused and not repeated", func(t *testing.T) {
			code, out, stderr := run(weak+"\n", "hash-secret", "--secret-stdin")
			require.Equal(t, 2, code)
			require.Empty(t, out)
			if weak != "" {
				require.NotContains(t, stderr, weak)
			}
		})
	}
}

func TestPipedMarks(t *testing.T) {
	const secret, mark = "gcs_0123456789abcdefghijklmnop", "\xef\xbb\xbf"
	code, out, stderr := run(mark+secret+"\r\n", "hash-secret", "--secret-stdin")
	require.Zero(t, code, stderr)
	require.Equal(t, clients.HashSecret(secret).String()+"\n", out, "the mark that PowerShell pipes is no part of a secret")
	code, _, stderr = run("\xff\xfeg\x00c\x00\n", "hash-secret", "--secret-stdin")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "standard input is UTF-16")
}

func TestHashPassword(t *testing.T) {
	code, out, _ := run("correct horse battery staple\n", "hash-password", "--password-stdin")
	require.Zero(t, code)
	require.NoError(t, users.CheckHash(strings.TrimSpace(out)))
	code, out, stderr := run("short\n", "hash-password", "--password-stdin")
	require.Equal(t, 2, code)
	require.Empty(t, out)
	require.NotContains(t, stderr, "short\n")
}

func TestConfigInit(t *testing.T) {
	name := filepath.Join(t.TempDir(), "config.toml")
	code, out, stderr := run("", "config", "init", "--output", name)
	require.Zero(t, code, stderr)
	require.Empty(t, out)
	t.Run("the secrets are shown once, and the file holds their hashes only", func(t *testing.T) {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		secrets := 0
		for word := range strings.FieldsSeq(stderr) {
			if strings.HasPrefix(word, "gcs_") {
				secrets++
				require.Contains(t, string(text), clients.HashSecret(word).String())
				require.NotContains(t, string(text), word)
			}
		}
		require.Equal(t, 2, secrets)
	})
	t.Run("the server, which is another user, can read it", func(t *testing.T) {
		common := filepath.Join(t.TempDir(), "common") // a umask may forbid it
		require.NoError(t, os.WriteFile(common, nil, 0o644))
		want, err := os.Stat(common)
		require.NoError(t, err)
		got, err := os.Stat(name)
		require.NoError(t, err)
		require.Equal(t, want.Mode(), got.Mode())
	})
	t.Run("what it writes is sound where its certificate is", func(t *testing.T) {
		code, _, stderr := run("", "config", "check", "--config", name)
		require.Equal(t, 2, code)
		require.Contains(t, stderr, name+":9:1: tls.cert_file: ")
		require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		cert, key := pair(t, time.Hour)
		text = []byte(strings.NewReplacer("/etc/grantor/tls/tls.crt", cert, "/etc/grantor/tls/tls.key", key).Replace(string(text)))
		require.NoError(t, os.WriteFile(name, text, 0o600))
		code, out, stderr := run("", "config", "check", "--config", name)
		require.Zero(t, code, stderr)
		require.Contains(t, out, "is sound")
		require.Empty(t, stderr)
	})
	t.Run("it overwrites nothing", func(t *testing.T) {
		code, _, stderr := run("", "config", "init", "--output", name)
		require.Equal(t, 2, code)
		require.Contains(t, stderr, "exists and is left as it is")
	})
}

func TestVersion(t *testing.T) {
	code, out, _ := run("", "version", "--json")
	require.Zero(t, code)
	require.Contains(t, out, `"version"`)
	for _, version := range []string{"0.9.0", "v0.9.0"} {
		for _, args := range [][]string{{"version"}, {"--version"}} {
			var said bytes.Buffer
			require.Zero(t, Main(Program{Args: args, Version: version, Revision: "3a9f654", Stdout: &said}), args)
			require.Equal(t, "grantor 0.9.0 3a9f654 "+runtime.Version()+"\n", said.String(), "%s %s", version, args)
		}
	}
}

func TestWrongCalls(t *testing.T) {
	for _, args := range [][]string{{"nonsense"}, {"secret"}, {"secret", "new", "x"}, {"serve", "--nonsense"}, {"config"}, {"version", "x"}} {
		code, out, stderr := run("", args...)
		require.Equal(t, 2, code, args)
		require.Empty(t, out)
		require.True(t, strings.HasPrefix(stderr, "grantor: "), stderr)
	}
}
