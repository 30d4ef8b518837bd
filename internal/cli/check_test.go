package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pair makes a certificate that ends after life, and its key.
func pair(t *testing.T, life time.Duration) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(life), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	return cert, key
}

// TestCheckDoesWhatStartDoes: what serve refuses by the configuration alone, config check refuses
// with the same words.
func TestCheckDoesWhatStartDoes(t *testing.T) {
	const memory, redis = "store = \"memory\"\n", "redis.timeout = \"100ms\"\n"
	cert, key := pair(t, time.Hour)
	old, oldKey := pair(t, -time.Minute)
	files := func(cert, key string) string {
		return memory + "[tls]\nmode = \"files\"\ncert_file = \"" + cert + "\"\nkey_file = \"" + key + "\"\n"
	}
	issuer := func(path string) string { return memory + "issuer = \"https://auth.example.com" + path + "\"\n" }
	for name, c := range map[string]struct {
		text, want string
		environ    []string
	}{
		"a Redis URL with a port that does not exist":              {text: redis + "redis.url = \"redis://127.0.0.1:99999\"\n", want: "redis.url: redis: url must have a port"},
		"a Redis URL with a word for its database":                 {text: redis + "redis.url = \"redis://127.0.0.1:6379/zero\"\n", want: "redis.url: redis: url must be"},
		"a Redis URL with a longer path":                           {text: redis + "redis.url = \"redis://127.0.0.1:6379/0/1\"\n", want: "redis.url: redis: url must be"},
		"a Redis URL that cannot be read":                          {text: redis + "redis.url = \"redis://127.0.0.1:port\"\n", want: "redis.url: redis: url must be"},
		"a Redis URL with a name and no password":                  {text: redis + "redis.url = \"redis://me@127.0.0.1\"\n", want: "redis: a username needs a password"},
		"a Redis socket without a path":                            {text: redis + "redis.url = \"unix://\"\n", want: "redis.url: redis: url must be"},
		"a Redis socket with TLS":                                  {text: redis + "redis.url = \"unix:///run/redis\"\nredis.tls = true\n", want: ":3:1: redis.tls: redis: a unix socket takes no tls"},
		"authorities of Redis that are not there":                  {text: redis + "redis.url = \"rediss://127.0.0.1\"\nredis.ca_file = \"/nonexistent\"\n", want: ":3:1: redis.ca_file: redis: ca_file"},
		"a database in a Cluster":                                  {text: "redis.mode = \"cluster\"\nredis.addrs = [\"127.0.0.1:1\"]\nredis.db = 1\n", want: ":3:1: redis.db: redis: a Cluster has no db"},
		"an address of Redis without a port":                       {text: "redis.mode = \"cluster\"\nredis.addrs = [\"127.0.0.1\"]\n", want: ":2:1: redis.addrs[0]: must be host:port"},
		"an issuer with a wildcard":                                {text: issuer("/a*b"), want: ":2:1: issuer: has the path"},
		"an issuer with a parameter of a router":                   {text: issuer("/:tenant"), want: ":2:1: issuer: has the path"},
		"an issuer with a colon":                                   {text: issuer("/realms/x:y"), want: ":2:1: issuer: has the path"},
		"an issuer with two slashes":                               {text: issuer("//x"), want: ":2:1: issuer: has the path"},
		"an issuer with an escape":                                 {text: issuer("/a%2fb"), want: ":2:1: issuer: has the path"},
		"an issuer with a dot":                                     {text: issuer("/a/../b"), want: ":2:1: issuer: has the path"},
		"an issuer's port that does not exist":                     {text: memory + "issuer = \"https://auth.example.com:99999\"\n", want: ":2:1: issuer: has port 99999"},
		"a certificate that is not there":                          {text: files("/nonexistent.pem", key), want: ":4:1: tls.cert_file: cert_file and key_file"},
		"a certificate of another key":                             {text: files(cert, oldKey), want: ":4:1: tls.cert_file: cert_file and key_file: tls: private key does not match"},
		"a certificate that has ended":                             {text: files(old, oldKey), want: ":4:1: tls.cert_file: the certificate in " + old + " ended at"},
		"a certificate of a variable, with a wrong key":            {text: files(cert, key), want: "GRANTOR_TLS__KEY_FILE: cert_file and key_file: tls: private key does not match", environ: []string{"GRANTOR_TLS__KEY_FILE=" + oldKey}},
		"a port that does not exist":                               {text: memory + "listen = \"127.0.0.1:99999\"\n", want: ":2:1: listen: must be host:port"},
		"a port of metrics that does not exist":                    {text: memory + "metrics.listen = \"127.0.0.1:none\"\n", want: ":2:1: metrics.listen: must be host:port"},
		"two listeners of one port":                                {text: memory + "listen = \"127.0.0.1:8080\"\nmetrics.listen = \"127.0.0.1:http-alt\"\n", want: ":3:1: metrics.listen: the public listener has the same address"},
		"two listeners of one port, one of them for all addresses": {text: "redis.url = \"redis://127.0.0.1\"\ntls.mode = \"proxy\"\nmetrics.listen = \"0.0.0.0:9090\"\nadmin.listen = \"127.0.0.1:9090\"\n", want: ":4:1: admin.listen: the metrics listener has the same address"},
		"an issuer of discovery":                                   {text: issuer("/.well-known/openid-configuration"), want: ":2:1: issuer: has the path"},
		"a trail in a folder that is not there":                    {text: memory + "audit.output = \"/nonexistent/trail\"\n", want: ":2:1: audit.output: stat /nonexistent"},
		"an application that cannot be asked":                      {text: memory + "grants.password = true\n[users]\nsource = \"http\"\nhttp.url = \"ftp://app\"\n", want: "users.http: "},
		"a database that cannot be named":                          {text: memory + "grants.password = true\n[users]\nsource = \"sql\"\n[users.sql]\ndriver = \"mysql\"\ndsn = \"x\"\nquery = \"SELECT id, username, password FROM u WHERE username = ?\"\nrecheck = \"SELECT id, username, password FROM u WHERE id = ?\"\n", want: "users.sql.dsn: dsn is no MySQL data source name"},
		"a database without its driver":                            {text: memory + "grants.password = true\n[users]\nsource = \"sql\"\n[users.sql]\ndriver = \"sqlite\"\ndsn = \"/db.sqlite3\"\nquery = \"SELECT id, username, password FROM u WHERE username = ?\"\nrecheck = \"SELECT id, username, password FROM u WHERE id = ?\"\n", want: "users.sql.dsn: this binary was built without SQLite"},
		"an issuer of workloads that is this server":               {text: memory + "[[trusted_issuers]]\nissuer = \"http://127.0.0.1:8080\"\n", want: ":3:1: trusted_issuers[0].issuer: "},
		"authorities of an issuer that are not there":              {text: memory + "[[trusted_issuers]]\nissuer = \"https://k\"\nca_file = \"/nonexistent\"\n", want: ":3:1: trusted_issuers[0].issuer: "},
		"a moment in the future before which all is off":           {text: memory + "tokens.not_before = 2999-01-01T00:00:00Z\n", want: ":2:1: tokens.not_before: is 2999-01-01T00:00:00Z, more than a minute ahead"},
	} {
		t.Run("S-62 "+name, func(t *testing.T) {
			if strings.Contains(c.want, "SQLite") && slices.Contains(sql.Drivers(), "sqlite") {
				t.Skip("this build has SQLite")
			}
			file := filepath.Join(t.TempDir(), "config.toml")
			require.NoError(t, os.WriteFile(file, []byte(c.text), 0o600))
			var said [2]bytes.Buffer
			for i, command := range [][]string{{"config", "check"}, {"serve"}} {
				var out bytes.Buffer
				code := Main(Program{Args: append(command, "--config", file), Environ: c.environ, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &said[i]})
				require.Equal(t, 2, code, said[i].String())
				require.Contains(t, said[i].String(), c.want)
				require.Empty(t, out.String())
			}
		})
	}
	t.Run("S-62 every mistake at once, wherever it is found", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "config.toml")
		require.NoError(t, os.WriteFile(file, []byte(`lisen = "x"
issuer = "https://auth.example.com//x"
redis.url = "redis://127.0.0.1:99999"
listen = "nowhere"
[tls]
mode = "file"
[scopes]
"a b" = {}
"orders:read" = {}
[[clients]]
client_id = "job"
scope = "orders:red"
introspect = "all"
secrets = [{ hash = "hunter2" }]
`), 0o600))
		code, _, stderr := run("", "config", "check", "--config", file)
		require.Equal(t, 2, code)
		for _, want := range []string{":1:1: lisen: ", ":2:1: issuer: ", ":3:1: redis.url: ", ":4:1: listen: ", ":6:1: tls.mode: ", ":8:1: scopes.a b: ", ":12:1: clients[0].scope: ", ":13:1: clients[0].introspect: ", ":14:14: clients[0].secrets[0].hash: "} {
			require.Contains(t, stderr, want)
		}
		require.Equal(t, 9, strings.Count(stderr, "\n"), stderr)
	})
}
