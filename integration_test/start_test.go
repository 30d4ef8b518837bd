// Package integration_test holds outsiders only: the built binary, real HTTP, real Redis, and
// clients that we did not write.
package integration_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/processtest"
	"github.com/grantor-auth/grantor/tokens"
)

// built compiles a program of this module once a run.
var built = func() func(t *testing.T, pkg string) string {
	var mu sync.Mutex
	done := map[string]string{}
	return func(t *testing.T, pkg string) string {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if name, ok := done[pkg]; ok {
			return name
		}
		name, err := processtest.Build(buildDir, pkg)
		require.NoError(t, err)
		done[pkg] = name
		return name
	}
}()

var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "grantor-integration"); err != nil {
		panic(err)
	}
	code := m.Run()
	if code == 0 && !seen.clean(os.Stderr) {
		code = 1
	}
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

const module = "github.com/grantor-auth/grantor"

// process is a running program of ours.
type process struct {
	*processtest.Process
	t *testing.T
}

// everywhere is what servers and commands of the whole suite have in their environment.
func everywhere() []string {
	if off := os.Getenv("GRANTOR_TEST_HTTP1"); off != "" { // "false": net/http alone
		return []string{"GRANTOR_SERVER__HTTP1=" + off}
	}
	return nil
}

// run starts a program and waits until it says where it listens.
func run(t *testing.T, program string, environ []string, args ...string) *process {
	t.Helper()
	p := &process{&processtest.Process{Cmd: exec.Command(program, args...)}, t}
	p.Cmd.Env = append(append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, everywhere()...), environ...)
	p.Cmd.Dir = t.TempDir()
	seen.watch(p)
	p.Start(t)
	return p
}

func (p *process) stop(sig os.Signal) int {
	p.t.Helper()
	return p.Stop(p.t, sig)
}

// deployment is a configuration with a machine, a resource server and a stranger.
type deployment struct {
	config  string
	machine string // secrets
	api     string
}

func deploy(t *testing.T, store string) deployment {
	t.Helper()
	d := deployment{config: filepath.Join(t.TempDir(), "config.toml"), machine: tokens.NewSecret(), api: tokens.NewSecret()}
	text := store + `
[server]
shutdown_delay = "200ms"
[log]
level = "info"
format = "json"
[scopes]
"orders:read" = { resource = "https://orders.example.com" }
"orders:write" = { resource = "https://orders.example.com", implies = ["orders:read"] }
[[clients]]
client_id = "machine"
grant_types = ["client_credentials"]
scope = "orders:*"
default_scope = "orders:read"
secrets = [{ hash = "` + clients.HashSecret(d.machine).String() + `" }]
[[clients]]
client_id = "api"
resource = "https://orders.example.com"
introspect = "audience"
secrets = [{ hash = "` + clients.HashSecret(d.api).String() + `" }]
`
	require.NoError(t, os.WriteFile(d.config, []byte(text), 0o600))
	return d
}

// serve starts Grantor; its issuer is fixed here and found by Host, whatever port it gets.
func (d deployment) serve(t *testing.T) *process {
	t.Helper()
	return run(t, built(t, module), nil, "serve", "--config", d.config, "--listen", "127.0.0.1:0")
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

// post sends a form as a client.
func post(t *testing.T, where, id, secret string, form url.Values) reply {
	t.Helper()
	r, err := tryPost(t.Context(), where, id, secret, form)
	require.NoError(t, err)
	return r
}

// tryPost is post for any goroutine, with more headers, such as "DPoP: …".
func tryPost(ctx context.Context, where, id, secret string, form url.Values, headers ...string) (r reply, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, strings.NewReader(form.Encode()))
	if err != nil {
		return r, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "" {
		req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	seen.secret(secret, form.Get("password"), form.Get("client_assertion"))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return r, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return r, err
	}
	r = reply{status: res.StatusCode, header: res.Header, body: string(text)}
	return r, json.Unmarshal(text, &r.json)
}

var clientCredentials = url.Values{"grant_type": {"client_credentials"}}

func (d deployment) token(t *testing.T, p *process) string {
	t.Helper()
	r := post(t, p.URL+"/oauth2/token", "machine", d.machine, clientCredentials)
	require.Equal(t, 200, r.status, r.body)
	return r.json["access_token"].(string)
}

func (d deployment) introspect(t *testing.T, p *process, token string) reply {
	t.Helper()
	return post(t, p.URL+"/oauth2/introspect", "api", d.api, url.Values{"token": {token}})
}

const (
	dead        = `{"active":false}`
	termination = syscall.SIGTERM
	hangup      = syscall.SIGHUP
)

// get returns the body of a page of a process.
func (p *process) get(t *testing.T, path string) string {
	t.Helper()
	res, err := http.Get(p.URL + path)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(text)
}
