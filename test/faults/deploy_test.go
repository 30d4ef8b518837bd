package faults_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// deployment is a configuration: some machines, a resource server, an app and its users.
type deployment struct {
	config   string
	machines []string // client ids; all have the same secret
	secret   string
	api      string // secret of the client "api"
	users    int    // "user-0" and so on, with the password below
}

const password = "correct horse battery staple"

// deploy writes a configuration over a store; more may add to it.
func deploy(t *testing.T, store string, more ...string) *deployment {
	t.Helper()
	d := &deployment{config: filepath.Join(t.TempDir(), "config.toml"), secret: tokens.NewSecret(), api: tokens.NewSecret(),
		machines: []string{"machine-0", "machine-1", "machine-{x}", "machine-3"}, users: 32}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost) // the hash is not what is tested here
	require.NoError(t, err)
	var b strings.Builder
	b.WriteString(store + `
[server]
shutdown_delay = "1s"
[grants]
password = true
[audit]
output = ""
[log]
level = "warn"
format = "json"
[scopes]
"orders:read" = { resource = "https://orders.example.com" }
[[clients]]
client_id = "api"
resource = "https://orders.example.com"
introspect = "audience"
secrets = [{ hash = "` + clients.HashSecret(d.api).String() + `" }]
[[clients]]
client_id = "app"
token_endpoint_auth_method = "none"
grant_types = ["password", "refresh_token"]
scope = "orders:read"
default_scope = "orders:read"
`)
	for _, id := range d.machines {
		fmt.Fprintf(&b, "[[clients]]\nclient_id = %q\ngrant_types = [\"client_credentials\"]\nscope = \"orders:read\"\ndefault_scope = \"orders:read\"\n"+
			"secrets = [{ hash = %q }]\n", id, clients.HashSecret(d.secret).String())
	}
	for i := range d.users {
		fmt.Fprintf(&b, "[[users.config]]\nid = \"u-%d\"\nusername = \"user-%d\"\npassword_hash = %q\nscope = \"orders:read\"\n", i, i, hash)
	}
	b.WriteString(strings.Join(more, "\n"))
	require.NoError(t, os.WriteFile(d.config, []byte(b.String()), 0o600))
	return d
}

// single is a store in one Redis, reached at addr.
func single(addr string) string {
	return fmt.Sprintf("store = \"redis\"\nredis.url = \"redis://%s\"\n", addr)
}

// sentinel is a store behind Sentinels.
func sentinel(addrs []string, replicas int) string {
	return fmt.Sprintf("store = \"redis\"\nredis.mode = \"sentinel\"\nredis.master = %q\nredis.addrs = [\"%s\"]\nredis.wait_replicas = %d\n",
		redistest.MasterName, strings.Join(addrs, `", "`), replicas)
}

// cluster is a store in a Redis Cluster.
func cluster(addrs []string, replicas int) string {
	return fmt.Sprintf("store = \"redis\"\nredis.mode = \"cluster\"\nredis.addrs = [\"%s\"]\nredis.wait_replicas = %d\n",
		strings.Join(addrs, `", "`), replicas)
}

// as is the same deployment for a node that connects to Redis and Sentinels by a name, which is its
// password too.
func (d *deployment) as(t *testing.T, name string) *deployment {
	t.Helper()
	b, err := os.ReadFile(d.config)
	require.NoError(t, err)
	other := *d
	other.config = filepath.Join(t.TempDir(), "config.toml")
	head := fmt.Sprintf("redis.username = %q\nredis.password = %[1]q\nredis.sentinel_username = %[1]q\nredis.sentinel_password = %[1]q\n", name)
	require.NoError(t, os.WriteFile(other.config, append([]byte(head), b...), 0o600))
	return &other
}
