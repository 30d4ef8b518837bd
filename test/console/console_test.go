// Package console reads the console in a real Chromium. It needs Node, the registry of npm, and
// Chromium.
package console

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/processtest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// hostile is a name of a client, and of a device.
const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>`

// desk is a deployment with a console.
type desk struct {
	t               *testing.T
	redis           *redistest.Server
	program, config string
	admin, public   string
	folder          string // in which npm has installed what the browser needs
}

func open(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, redis: redistest.Start(t), config: filepath.Join(t.TempDir(), "config.toml")}
	d.folder = install(t)
	var err error
	d.program, err = processtest.Build(t.TempDir(), "github.com/grantor-auth/grantor")
	require.NoError(t, err)
	admin := "127.0.0.1:" + redistest.FreePort(t)
	d.admin = "http://" + admin
	require.NoError(t, os.WriteFile(d.config, []byte(`
issuer = "http://127.0.0.1:8080"
store = "redis"
redis.url = "`+d.redis.URL+`"
audit.output = "redis"
keys.encryption_key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
grants.password = true
users.source = "redis"
users.scope = "orders:read"
admin.listen = "`+admin+`"
admin.console.enabled = true
scopes."orders:read" = { description = "Read orders", resource = "https://orders.example.com" }
scopes."orders:write" = { description = "Change orders", resource = "https://orders.example.com", implies = ["orders:read"] }
`), 0o600))
	p := &processtest.Process{Cmd: exec.Command(d.program, "serve", "--config", d.config, "--listen", "127.0.0.1:0")} //nolint:gosec // just built
	p.Cmd.Dir = t.TempDir()
	p.Start(t)
	d.public = p.URL
	return d
}

// command runs a command of Grantor, and returns its answer.
func (d *desk) command(stdin string, args ...string) string {
	d.t.Helper()
	c := exec.CommandContext(d.t.Context(), d.program, append(args, "--config", d.config)...) //nolint:gosec // just built
	c.Stdin = strings.NewReader(stdin)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	require.NoError(d.t, err, said.String())
	return strings.TrimSpace(string(out))
}

// link is what "grantor console" prints.
func (d *desk) link() string {
	d.t.Helper()
	link := d.command("", "console")
	require.Regexp(d.t, "^"+d.admin+"/console/login#[a-z0-9]{52}$", link)
	return link
}

type pass struct {
	Size   string `json:"size"`
	Scheme string `json:"colorScheme"`
}

// browse opens pages in each pass.
func (d *desk) browse(t *testing.T, name string, pages []string, passes ...pass) {
	t.Helper()
	var links []string
	for range passes {
		links = append(links, "")
	}
	for i, p := range passes { // each link works for a minute: one run for each
		links[i] = d.link()
		d.run(t, name, pages, []string{links[i]}, p)
	}
}

func (d *desk) run(t *testing.T, name string, pages, links []string, p pass) {
	t.Helper()
	text := func(v any) string {
		out, err := json.Marshal(v)
		require.NoError(t, err)
		return string(out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "node", "browse.mjs")
	c.Dir, c.WaitDelay = d.folder, 10*time.Second
	c.Env = append(os.Environ(), "NAME="+name, "LINKS="+text(links), "PASSES="+text([]pass{p}), "PAGES="+text(pages))
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "pages opened")
}

// TestConsole opens each page with no client, with one, and with 100,000.
func TestConsole(t *testing.T) {
	d := open(t)
	pages := []string{"", "clients", "clients?search=job", "clients/new", "users", "scopes", "keys", "events", "token"}
	t.Run("no client", func(t *testing.T) { d.browse(t, "none", pages, pass{"desk", "light"}) })

	d.command("", "client", "create", "--id", "hostile", "--name", hostile, "--grant-type", "password", "--grant-type", "refresh_token",
		"--scope", "orders:*", "--default-scope", "orders:read", "--auth-method", "none")
	d.command("", "client", "create", "--id", "nightly-job", "--name", "Nightly job", "--grant-type", "client_credentials", "--scope", "orders:*")
	d.command("correct horse battery\n", "user", "add", "ada", "--password-stdin")
	d.login()
	users := d.command("", "user", "list", "--json")
	sub := regexp.MustCompile(`"sub": "([^"]+)"`).FindStringSubmatch(users)
	require.NotNil(t, sub, users)
	pages = append(pages, "client?id=hostile", "client?id=nightly-job", "user?sub="+sub[1])
	t.Run("S-93 one client of each kind, with hostile names", func(t *testing.T) {
		d.browse(t, "one", pages, pass{"phone", "light"}, pass{"phone", "dark"}, pass{"desk", "light"}, pass{"desk", "dark"})
	})
	t.Run("100,000 clients", func(t *testing.T) {
		d.multiply("nightly-job", 100_000)
		d.browse(t, "many", pages, pass{"desk", "light"})
	})
}

// login logs ada in on a device with a hostile name.
func (d *desk) login() {
	d.t.Helper()
	res, err := http.PostForm(d.public+"/oauth2/token", url.Values{"grant_type": {"password"}, "client_id": {"hostile"}, "username": {"ada"}, //nolint:noctx // a test
		"password": {"correct horse battery"}, "device_name": {hostile}})
	require.NoError(d.t, err)
	defer res.Body.Close()
	require.Equal(d.t, http.StatusOK, res.StatusCode)
}

// multiply copies a registration n times, under other ids.
func (d *desk) multiply(id string, n int) {
	d.t.Helper()
	require.NoError(d.t, d.redis.CopyClient(d.t.Context(), id, n))
}

// TestListOfAMillion logs how long pages of a large list take: GRANTOR_TEST_CLIENTS=1000000 go test
// ./test/console -run Million -v.
func TestListOfAMillion(t *testing.T) {
	n := clientsWanted()
	d := open(t)
	d.command("", "client", "create", "--id", "nightly-job", "--name", "Nightly job", "--grant-type", "client_credentials", "--scope", "orders:*")
	d.multiply("nightly-job", n)
	b := d.loggedIn()
	at, slowest, pages := "/console/clients", time.Duration(0), 0
	for ; at != "" && pages < 200; pages++ {
		begun := time.Now()
		text := b.get(at)
		slowest = max(slowest, time.Since(begun))
		require.Contains(t, text, "Nightly job")
		at = ""
		if next := regexp.MustCompile(`rel="next" href="([^"]+)"`).FindStringSubmatch(text); next != nil {
			at = strings.ReplaceAll(next[1], "&amp;", "&")
		}
	}
	t.Logf("%d clients: the slowest of %d pages came after %s", n, pages, slowest.Round(100*time.Microsecond))
	begun := time.Now()
	require.Contains(t, b.get("/console/clients?search=nightly-job-7"), `href="/console/client?id=nightly-job-7"`)
	t.Logf("a whole id is found after %s", time.Since(begun).Round(100*time.Microsecond))
	begun, at = time.Now(), "/console/clients?search=nowhere"
	for pages = 0; at != ""; pages++ {
		text := b.get(at)
		at = ""
		if next := regexp.MustCompile(`data-continue="([^"]+)"`).FindStringSubmatch(text); next != nil {
			at = strings.ReplaceAll(next[1], "&amp;", "&")
		}
	}
	t.Logf("a search that finds nothing looked at all after %s, in %d steps", time.Since(begun).Round(time.Millisecond), pages)
}

// browser is a client of HTTP that is logged in.
type browser struct {
	*desk
	http.Client
}

func (d *desk) loggedIn() *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(d.t, err)
	b := &browser{d, http.Client{Jar: jar}}
	_, code, _ := strings.Cut(d.link(), "#")
	token := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(b.get("/console/login"))
	require.NotNil(d.t, token)
	res, err := b.PostForm(d.admin+"/console/login", url.Values{"csrf": {token[1]}, "code": {code}})
	require.NoError(d.t, err)
	defer res.Body.Close()
	require.Equal(d.t, http.StatusOK, res.StatusCode)
	return b
}

func (b *browser) get(path string) string {
	b.t.Helper()
	res, err := b.Get(b.admin + path)
	require.NoError(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return string(text)
}
