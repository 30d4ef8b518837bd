package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// nodeModules installs what node/package-lock.json names, once a run.
var nodeModules = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(buildDir, "node")
	if err := os.CopyFS(dir, os.DirFS("node")); err != nil {
		return "", err
	}
	c := exec.Command("npm", "ci", "--silent", "--no-audit", "--no-fund")
	c.Dir = dir
	return dir, c.Run()
})

// node runs one of the programs of node/ with variables.
func node(t *testing.T, program string, environ ...string) {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		require.Empty(t, os.Getenv("GRANTOR_TEST_REQUIRE_NODE"), "npm is not on PATH")
		t.Skip("npm is not on PATH")
	}
	dir, err := nodeModules()
	if err != nil && os.Getenv("GRANTOR_TEST_REQUIRE_NODE") == "" {
		t.Skip("npm ci: " + err.Error())
	}
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), "node", program)
	c.Dir, c.Env = dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, environ...)
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "ok\n", string(out))
}

// freeAddress is where nobody listens: an issuer must be known before its server listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() //nolint:errcheck // it is to be free
	return l.Addr().String()
}

func TestNodeClients(t *testing.T) {
	addr := freeAddress(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	jwk, err := json.Marshal(jose.JSONWebKey{Key: private, KeyID: "k1", Algorithm: "ES256", Use: "sig"})
	require.NoError(t, err)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &private.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	require.NoError(t, err)
	d := withUsers(t, redisStore(redistest.Start(t))+"issuer = \"http://"+addr+"\"\nadmin.listen = \"127.0.0.1:0\"\n"+jwtFormat, configUsers())
	doc := `{"client_id":"signer","token_endpoint_auth_method":"private_key_jwt","grant_types":["client_credentials"],"scope":"orders:read","jwks":` + string(set) + `}`
	d.must(t, doc, "client", "apply", "-f", "-")
	registrar := d.client(t, "registrar", "grantor:clients orders:read", "--default-scope", "")
	p := run(t, built(t, module), nil, "serve", "--config", d.config, "--listen", addr)
	t.Run("CC-01 IN-01 RV-01 openid-client as a machine with a secret", func(t *testing.T) {
		node(t, "client.mjs", "ISSUER="+p.URL, "MACHINE_SECRET="+d.machine, "API_SECRET="+d.api)
	})
	t.Run("CJ-04 private_key_jwt by openid-client", func(t *testing.T) {
		node(t, "private_key_jwt.mjs", "ISSUER="+p.URL, "API_SECRET="+d.api, "SIGNER_KEY="+string(jwk))
	})
	t.Run("RT-01 openid-client as an app refreshes", func(t *testing.T) {
		node(t, "refresh.mjs", "ISSUER="+p.URL, "USERNAME=ada", "PASSWORD="+adaPassword)
	})
	t.Run("AT-02 AT-10 oauth4webapi and jose accept our JWTs, and refuse what they should", func(t *testing.T) {
		node(t, "jwt_access_token.mjs", "ISSUER="+p.URL, "TOKEN="+d.token(t, p))
	})
	t.Run("RFC 7591 §3 openid-client and oauth4webapi register clients", func(t *testing.T) {
		initial := post(t, p.URL+"/oauth2/token", "registrar", registrar, credentials("grantor:clients")).text("access_token")
		node(t, "register.mjs", "ISSUER="+p.URL, "ADMIN="+p.where("The admin API"), "INITIAL="+initial)
	})
}
