package integration_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func TestTokenCommand(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the issuer must be known before the server listens
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	d := deploy(t, redisStore(redistest.Start(t))+"issuer = \"http://"+addr+"\"\n")
	p := run(t, built(t, module), nil, "serve", "--config", d.config, "--listen", addr)
	command := func(secret, stdin string, args ...string) (string, int) {
		c := exec.Command(built(t, module), append([]string{"token"}, args...)...)
		c.Env = []string{"GRANTOR_CLIENT_ID=machine", "GRANTOR_CLIENT_SECRET=" + secret}
		c.Stdin = strings.NewReader(stdin)
		out, _ := c.CombinedOutput()
		return strings.TrimSpace(string(out)), c.ProcessState.ExitCode()
	}
	for _, method := range []string{"basic", "post"} {
		t.Run("issue, introspect: exit 0, revoke, introspect: exit 1; by "+method, func(t *testing.T) {
			token, code := command(d.machine, "", "issue", "--issuer", p.URL, "--scope", "orders:read", "--auth-method", method)
			require.Zero(t, code, token)
			require.True(t, strings.HasPrefix(token, "gat_"))
			out, code := command(d.machine, token+"\n", "introspect", "--issuer", p.URL, "--json")
			require.Zero(t, code, out)
			require.Contains(t, out, `"client_id": "machine"`)
			out, code = command(d.machine, token, "revoke", "--issuer", p.URL)
			require.Zero(t, code, out)
			out, code = command(d.machine, token, "introspect", "--issuer", p.URL)
			require.Equal(t, 1, code, out)
			require.Contains(t, out, "false")
		})
	}
	t.Run("refusals in the server's words, exit 1; wrong calls, exit 2", func(t *testing.T) {
		out, code := command("wrong", "", "issue", "--issuer", p.URL)
		require.Equal(t, 1, code)
		require.Contains(t, out, "invalid_client")
		require.NotContains(t, out, "wrong")
		out, code = command(d.machine, "", "issue", "--issuer", "http://auth.example.com")
		require.Equal(t, 2, code)
		require.Contains(t, out, "https://")
		_, code = command(d.machine, "", "issue")
		require.Equal(t, 2, code)
		_, code = command("", "", "issue", "--issuer", p.URL)
		require.Equal(t, 2, code)
		_, code = command(d.machine, "", "introspect", "--issuer", p.URL, "gat_on_the_command_line")
		require.Equal(t, 2, code, "tokens are never arguments")
	})
	t.Run("RFC 8414 §3.3 a server that calls itself otherwise is refused", func(t *testing.T) {
		out, code := command(d.machine, "", "issue", "--issuer", strings.Replace(p.URL, "127.0.0.1", "localhost", 1))
		require.Equal(t, 1, code, out)
		require.Contains(t, out, "calls itself")
	})
}
