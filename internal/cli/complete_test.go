package cli

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// completed asks as the scripts of "grantor completion" do. The last word is what is typed so far.
func completed(t *testing.T, environ []string, words ...string) (values []string, directive string) {
	t.Helper()
	var out, stderr bytes.Buffer
	code := Main(Program{Args: append([]string{"__complete"}, words...), Environ: environ, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &stderr})
	require.Zero(t, code, stderr.String())
	require.NotContains(t, stderr.String(), "grantor:", "a fault is silent")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines[:len(lines)-1] {
		value, _, _ := strings.Cut(line, "\t")
		values = append(values, value)
	}
	return values, lines[len(lines)-1]
}

const (
	noFiles    = ":4"
	files      = ":0"
	fileSuffix = ":8"
)

// completionFile is a configuration with two clients, on a Redis or in memory.
func completionFile(t *testing.T, redis string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.toml")
	store := "store = \"memory\"\n"
	if redis != "" {
		store = fmt.Sprintf("redis.url = %q\n[users]\nsource = \"redis\"\nscope = \"orders:read\"\n[grants]\npassword = true\n", redis)
	}
	text := store + "[scopes]\n\"orders:read\" = {}\n\"orders:write\" = {}\n\"invoices:read\" = {}\n"
	for _, id := range []string{"billing", "shipping"} {
		text += fmt.Sprintf("[[clients]]\nclient_id = %q\ngrant_types = [\"client_credentials\"]\nscope = \"orders:read\"\nsecrets = [{ hash = %q }]\n",
			id, clients.HashSecret("gcs_0123456789abcdefghij"+id))
	}
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func TestCompletion(t *testing.T) {
	file := completionFile(t, "")
	secret := clients.Secret{Hash: clients.HashSecret("gcs_0123456789abcdefghijbilling")}.ID()
	for name, c := range map[string]struct {
		words     []string
		want      []string
		directive string
	}{
		"client ids":                  {[]string{"client", "show", "--config", file, ""}, []string{"billing", "shipping"}, noFiles},
		"client ids by their begin":   {[]string{"key", "list", "--config", file, "b"}, []string{"billing"}, noFiles},
		"no second client":            {[]string{"client", "show", "--config", file, "billing", ""}, nil, noFiles},
		"ids of secrets":              {[]string{"client", "revoke-secret", "--config", file, "billing", ""}, []string{secret}, noFiles},
		"no argument, no files":       {[]string{"keys", "list", "--config", file, ""}, nil, noFiles},
		"scopes":                      {[]string{"client", "create", "--config", file, "--scope", "orders:"}, []string{"orders:read", "orders:write"}, noFiles},
		"grant types":                 {[]string{"client", "create", "--grant-type", ""}, []string{"client_credentials", "password", "refresh_token", clients.GrantTokenExchange, clients.GrantJWTBearer}, noFiles},
		"ways of introspection":       {[]string{"client", "update", "--introspect", ""}, []string{"own", "audience", "any"}, noFiles},
		"formats of the log":          {[]string{"gate", "--log-format", ""}, []string{"auto", "text", "json"}, noFiles},
		"files of a configuration":    {[]string{"client", "list", "--config", ""}, []string{"toml"}, fileSuffix},
		"files of serve":              {[]string{"serve", "--config", ""}, []string{"toml"}, fileSuffix},
		"files of root":               {[]string{"--config", ""}, []string{"toml"}, fileSuffix},
		"files of a secret":           {[]string{"client", "create", "--secret-file", ""}, nil, files},
		"sub-commands":                {[]string{"client", "rot"}, []string{"rotate-secret"}, noFiles},
		"a configuration that is not": {[]string{"client", "show", "--config", file + "x", ""}, nil, noFiles},
		"a new user has no name yet":  {[]string{"user", "add", "--config", file, ""}, nil, noFiles},
	} {
		t.Run(name, func(t *testing.T) {
			got, directive := completed(t, nil, c.words...)
			require.Equal(t, c.want, got)
			require.Equal(t, c.directive, directive)
		})
	}
	t.Run("GRANTOR_CONFIG counts", func(t *testing.T) {
		got, _ := completed(t, []string{"GRANTOR_CONFIG=" + file}, "client", "show", "")
		require.Equal(t, []string{"billing", "shipping"}, got)
	})
	t.Run("a broken part of the configuration is silent", func(t *testing.T) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		broken := filepath.Join(t.TempDir(), "broken.toml")
		require.NoError(t, os.WriteFile(broken, append([]byte("lisen = \"x\"\n"), text...), 0o600))
		got, _ := completed(t, nil, "client", "show", "--config", broken, "")
		require.Equal(t, []string{"billing", "shipping"}, got)
	})
}

func TestCompletionFromRedis(t *testing.T) {
	url := redistest.Start(t).URL
	file := completionFile(t, url)
	db, err := redisdb.Open(redisdb.Config{URL: url, Prefix: "grantor:"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	hash := clients.HashSecret("gcs_0123456789abcdefghijklmnop")
	for _, id := range []string{"registered", "with space", "$(touch pwned)", "`id`", "a;b", "-rf"} {
		require.NoError(t, clients.NewRedis(db).Create(t.Context(), &clients.Stored{Registration: clients.Registration{ID: id, Name: "$(id)", Scope: "orders:read",
			Grants: []string{"client_credentials"}, Secrets: []clients.Secret{{Hash: hash}}}}))
	}
	t.Run("S-20 registered clients; names that a shell would evaluate are left out", func(t *testing.T) {
		got, _ := completed(t, nil, "client", "show", "--config", file, "")
		require.Equal(t, []string{"billing", "registered", "shipping"}, got)
	})
	t.Run("ids of a registered client's secrets", func(t *testing.T) {
		got, _ := completed(t, nil, "client", "revoke-secret", "--config", file, "registered", "")
		require.Equal(t, []string{clients.Secret{Hash: hash}.ID()}, got)
	})
	t.Run("users", func(t *testing.T) {
		for _, name := range []string{"alice@example.com", "bob", "eve$(id)"} {
			code, _, stderr := run("correct horse battery staple\n", "user", "add", name, "--password-stdin", "--config", file)
			require.Zero(t, code, stderr)
		}
		got, _ := completed(t, nil, "user", "logout", "--config", file, "")
		require.Equal(t, []string{"alice@example.com", "bob"}, got)
	})
	t.Run("API keys", func(t *testing.T) {
		code, id, stderr := run("", "key", "create", "registered", "--name", "n", "--scope", "orders:read", "--expires", "1d", "--config", file)
		require.Zero(t, code, stderr)
		got, _ := completed(t, nil, "key", "revoke", "--config", file, "registered", "")
		require.Len(t, got, 1)
		require.Contains(t, id, "key_id     "+got[0]+"\n")
	})
}

func TestCompletionIsBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts by the kernel, and never answers
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	file := completionFile(t, "redis://"+l.Addr().String())
	begun := time.Now()
	_, directive := completed(t, nil, "key", "list", "--config", file, "")
	require.Equal(t, noFiles, directive)
	_, directive = completed(t, nil, "user", "logout", "--config", file, "")
	require.Equal(t, noFiles, directive)
	require.Less(t, time.Since(begun), 4*completeLimit)
	t.Run("a source that does not heed the limit", func(t *testing.T) {
		late := make(chan struct{})
		t.Cleanup(func() { close(late) })
		begun := time.Now()
		p := Program{Environ: []string{"GRANTOR_CONFIG=" + completionFile(t, "")}}
		list, directive := p.completing(func(*lookup) { <-late })(&cobra.Command{}, nil, "")
		require.Empty(t, list)
		require.Equal(t, cobra.ShellCompDirectiveNoFileComp, directive)
		require.Less(t, time.Since(begun), 4*completeLimit)
	})
}
