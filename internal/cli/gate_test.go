package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGateCalls(t *testing.T) {
	dir := t.TempDir()
	secret, empty, text := filepath.Join(dir, "secret"), filepath.Join(dir, "empty"), filepath.Join(dir, "text")
	for name, content := range map[string]string{secret: "gcs_0123456789abcdefghijklmnop\n", empty: "\n", text: "no key"} {
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	}
	good := []string{"gate", "--issuer", "https://auth.example.com", "--client-id", "api", "--client-secret-file", secret, "--listen", "127.0.0.1:0"}
	for says, args := range map[string][]string{
		"say --issuer URL":                                         {"gate", "--client-id", "api"},
		"say --client-id ID, or GRANTOR_CLIENT_ID":                 {"gate", "--issuer", "https://auth.example.com"},
		"say --client-secret-file FILE, or GRANTOR_CLIENT_SECRET":  {"gate", "--issuer", "https://auth.example.com", "--client-id", "api"},
		"the secret of api":                                        {"gate", "--issuer", "https://auth.example.com", "--client-id", "api", "--client-secret-file", empty},
		"--client-secret-file: open":                               {"gate", "--issuer", "https://auth.example.com", "--client-id", "api", "--client-secret-file", dir + "/none"},
		"must begin with https:// off loopback":                    append(good, "--issuer", "http://auth.example.com"),
		"see --insecure-issuer":                                    append(good, "--issuer", "http://auth.example.com"),
		"--listen off loopback needs --tls-cert and --tls-key":     append(good, "--listen", "0.0.0.0:0"),
		"--listen: the address is host:port":                       append(good, "--listen", "127.0.0.1"),
		"--listen: the mode of the socket is octal":                append(good, "--listen", "unix:/tmp/s", "--socket-mode", "rw"),
		"--tls-cert and --tls-key go together":                     append(good, "--tls-cert", secret),
		"--tls-cert and --tls-key: ":                               append(good, "--tls-cert", secret, "--tls-key", secret),
		"--identity is none or jwt":                                append(good, "--identity", "JWT"),
		"--url and --identity-key-file need --identity jwt":        append(good, "--url", "https://gate.example.com"),
		"--identity jwt at a Unix socket needs --url":              append(good, "--identity", "jwt", "--listen", "unix:/tmp/s"),
		"--identity-alg: the algorithm":                            append(good, "--identity", "jwt", "--identity-alg", "RS256"),
		"--identity-key-file " + text + ": there is no key in PEM": append(good, "--identity", "jwt", "--identity-key-file", text),
		"--dpop-nonce-key-file needs --dpop-request":               append(good, "--dpop-nonce-key-file", secret),
		"--dpop-nonce-key-file: open":                              append(good, "--dpop-request", "path", "--dpop-nonce-key-file", dir+"/none"),
		"--dpop-nonce-key-file: the secret has fewer than 32":      append(good, "--dpop-request", "path", "--dpop-nonce-key-file", secret),
		"is the name of another header":                            append(good, "--client-cert-header", "Authorization"),
		"X-Cert is not known: set --client-cert-format to":         append(good, "--client-cert-header", "X-Cert"),
		"the format must be":                                       append(good, "--client-cert-header", "X-Cert", "--client-cert-format", "text"),
		"a format of certificates needs the name of the header":    append(good, "--client-cert-format", "pem"),
		"preflights are told by":                                   append(good, "--allow-preflight", "X-Method"),
		"--metrics-listen is host:port of this machine":            append(good, "--metrics-listen", "0.0.0.0:0"),
		"--log-level is":                                           append(good, "--log-level", "loud"),
		"--log-format is":                                          append(good, "--log-format", "xml"),
		"Realm holds printable ASCII":                              append(good, "--realm", `"`),
		`"nginx" is no command or argument of grantor gate`:        append(good, "nginx"),
	} {
		t.Run(says, func(t *testing.T) {
			code, out, stderr := run("", args...)
			require.Equal(t, 2, code, stderr)
			require.Empty(t, out)
			require.Contains(t, stderr, says)
			require.NotContains(t, stderr, "gcs_0123")
		})
	}
	t.Run("--help shows calls that can be pasted", func(t *testing.T) {
		code, out, _ := run("", "gate", "--help")
		require.Zero(t, code)
		require.Contains(t, out, "Examples:\n  grantor gate --issuer https://auth.example.com")
		require.Contains(t, out, "/verify?scope=orders:read&audience=https://orders.example.com")
	})
}
