package programs

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// broker is a running RabbitMQ.
type broker struct{ amqp, management string } // addresses

// startRabbitMQ runs RabbitMQ with folders, ports and a port mapper of its own.
func startRabbitMQ(t *testing.T, s *server) broker {
	t.Helper()
	server := program(t, "/usr/lib/rabbitmq/bin/rabbitmq-server")
	for _, needed := range []string{"amqp-publish", "epmd"} {
		program(t, needed)
	}
	b, folder, mapper := broker{freeAddress(t), freeAddress(t)}, t.TempDir(), freeAddress(t)
	configured(t, folder, []string{"rabbitmq/rabbitmq.conf", "rabbitmq/enabled_plugins"},
		"https://auth.example.com", s.issuer, "/etc/ssl/certs/ca-certificates.crt", s.folder+"/ca.pem")
	config := filepath.Join(folder, "rabbitmq.conf")
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, []byte(string(text)+"listeners.tcp.default = "+b.amqp+"\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = "+
		port(b.management)+"\nlog.console = true\nlog.file = false\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "env.conf"), nil, 0o600))
	names := exec.Command("epmd", "-address", "127.0.0.1", "-port", port(mapper))
	start(t, names, func() bool { return listens(mapper) })
	c := exec.Command(server)
	c.Env = append(os.Environ(), "HOME="+folder, "ERL_EPMD_PORT="+port(mapper), "ERL_EPMD_ADDRESS=127.0.0.1", "RABBITMQ_NODENAME=grantor-test@localhost",
		"RABBITMQ_DIST_PORT="+port(freeAddress(t)), "RABBITMQ_MNESIA_BASE="+folder+"/mnesia", "RABBITMQ_LOG_BASE="+folder+"/log", "RABBITMQ_LOGS=-",
		"RABBITMQ_CONFIG_FILE="+config, "RABBITMQ_ENABLED_PLUGINS_FILE="+folder+"/enabled_plugins", "RABBITMQ_CONF_ENV_FILE="+folder+"/env.conf",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}")
	start(t, c, func() bool { return listens(b.amqp) && listens(b.management) })
	return b
}

// do runs one of the programs of librabbitmq with a token in the place of a password.
func (b broker) do(t *testing.T, token, program, stdin string, args ...string) (out string, err error) {
	t.Helper()
	c := exec.Command(program, append([]string{"--url", "amqp://token:" + token + "@" + b.amqp + "/%2f"}, args...)...)
	c.Stdin = strings.NewReader(stdin)
	text, err := c.CombinedOutput()
	return strings.ReplaceAll(string(text), token, "TOKEN"), err
}

// whoami asks the management API.
func (b broker) whoami(t *testing.T, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.management+"/api/whoami", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	return res.StatusCode
}

func TestRabbitMQ(t *testing.T) {
	s := serve(t)
	b := startRabbitMQ(t, s)
	whole := s.token(t, "shipping", machine("rabbitmq.configure:*/* rabbitmq.write:*/* rabbitmq.read:*/* rabbitmq.tag:management"))
	t.Run("RI-08 SC-09 RabbitMQ takes a JWT with its own audience and scopes", func(t *testing.T) {
		out, err := b.do(t, whole, "amqp-declare-queue", "", "--queue", "orders")
		require.NoError(t, err, out)
		out, err = b.do(t, whole, "amqp-publish", "", "--routing-key", "orders", "--body", "a parcel")
		require.NoError(t, err, out)
		out, err = b.do(t, whole, "amqp-get", "", "--queue", "orders")
		require.NoError(t, err, out)
		require.Equal(t, "a parcel", out)
		require.Equal(t, http.StatusOK, b.whoami(t, whole))
	})
	t.Run("SC-09 a scope less is refused", func(t *testing.T) {
		reader := s.token(t, "shipping", machine("rabbitmq.read:*/*"))
		out, err := b.do(t, reader, "amqp-declare-queue", "", "--queue", "others")
		require.Error(t, err)
		require.Contains(t, out, "ACCESS_REFUSED")
		require.Equal(t, http.StatusUnauthorized, b.whoami(t, reader), "it lacks the scope rabbitmq.tag:management")
	})
	t.Run("RI-08 AT-04 another audience, a changed and an opaque token are refused", func(t *testing.T) {
		for name, token := range map[string]string{"another audience": s.token(t, "stranger", machine("metrics:read")),
			"changed": whole[:len(whole)-8] + "AAAAAAAA", "opaque": s.token(t, "prometheus", machine("metrics:read"))} {
			_, err := b.do(t, token, "amqp-get", "", "--queue", "orders")
			require.Error(t, err, name)
			require.Equal(t, http.StatusUnauthorized, b.whoami(t, token), name)
		}
	})
}
