package console_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/console"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/node"
	"github.com/grantor-auth/grantor/tokens"
)

// desk is a node with a console, over a Redis of its own.
type desk struct {
	t      *testing.T
	redis  *redistest.Server
	at     string // the URL of the admin listener
	public string
	trail  string // the file of the audit trail
	store  *console.Store
	log    *lines
}

// opened starts a deployment's node; more are lines of [admin.console].
func opened(t *testing.T, more string) *desk {
	t.Helper()
	d := &desk{t: t, redis: redistest.Start(t), trail: filepath.Join(t.TempDir(), "trail"), log: &lines{}}
	d.at, d.public = d.node(more)
	return d
}

// node starts one more node, and returns where it listens.
func (d *desk) node(more string) (admin, public string) {
	d.t.Helper()
	if !strings.HasPrefix(more, "enabled") {
		more += "enabled = true\n"
	}
	cfg, _, err := config.Parse(`
issuer = "https://auth.example.com"
listen = "127.0.0.1:0"
store = "redis"
redis.url = "` + d.redis.URL + `"
audit.output = "` + d.trail + `"
keys.encryption_key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
grants.password = true
users.source = "redis"
users.scope = "orders:read"
scopes."orders:read" = { description = "Read orders", resource = "https://orders.example.com" }
scopes."orders:write" = { description = "Change orders", resource = "https://orders.example.com", implies = ["orders:read"] }
[[clients]]
client_id = "configured"
resource = "https://orders.example.com"
introspect = "audience"
secrets = [{ hash = "` + clients.HashSecret(tokens.NewSecret()).String() + `" }]
[admin]
listen = "127.0.0.1:1"
[admin.console]
` + more)
	require.NoError(d.t, err)
	n, err := node.Open(d.t.Context(), cfg, node.Options{Log: d.log.logger()})
	require.NoError(d.t, err)
	d.t.Cleanup(n.Close)
	db, err := parts.Redis(cfg.Redis, d.log.logger())
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = db.Close() })
	d.store = console.NewStore(db)
	a, p := httptest.NewServer(n.AdminHandler()), httptest.NewServer(n.Handler())
	d.t.Cleanup(a.Close)
	d.t.Cleanup(p.Close)
	return a.URL, p.URL
}

// browser keeps cookies, and follows no redirects.
type browser struct {
	*desk
	client *http.Client
	header http.Header // of each request
}

func (d *desk) browser() *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(d.t, err)
	return &browser{d, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, http.Header{}}
}

// page is an answer, read to its end.
type page struct {
	*http.Response
	body string
}

func (b *browser) do(method, path string, form url.Values) page {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, b.at+path, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, values := range b.header {
		r.Header[name] = values
		if name == "Host" {
			r.Host = values[0]
		}
	}
	res, err := b.client.Do(r)
	require.NoError(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return page{res, string(text)}
}

func (b *browser) get(path string) page { b.t.Helper(); return b.do(http.MethodGet, path, nil) }

var hiddenToken = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// token is that of the forms of a page.
func (b *browser) token(path string) string {
	b.t.Helper()
	found := hiddenToken.FindStringSubmatch(b.get(path).body)
	require.NotNil(b.t, found, "a form on %s", path)
	return found[1]
}

// post sends a form with the token of the browser's session.
func (b *browser) post(path string, fields ...string) page {
	b.t.Helper()
	return b.do(http.MethodPost, path, b.form(append(fields, "csrf", b.token("/console/token"))...))
}

func (b *browser) form(pairs ...string) url.Values {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

// link is what "grantor console" prints behind the #.
func (d *desk) link() string {
	code, err := d.store.NewLink(d.t.Context(), "ada")
	require.NoError(d.t, err)
	return code
}

// loggedIn is a browser in which ada is logged in.
func (d *desk) loggedIn() *browser {
	b := d.browser()
	p := b.login(d.link())
	require.Equal(d.t, http.StatusSeeOther, p.StatusCode, p.body)
	return b
}

func (b *browser) login(code string) page {
	b.t.Helper()
	return b.do(http.MethodPost, "/console/login", b.form("csrf", b.token("/console/login"), "code", code))
}

// events are those of the trail with this name.
func (d *desk) events(name string) (list []audit.Event) {
	text, _ := os.ReadFile(d.trail)
	for line := range strings.Lines(string(text)) {
		var e audit.Event
		require.NoError(d.t, json.Unmarshal([]byte(line), &e))
		if e.Event == name {
			list = append(list, e)
		}
	}
	return list
}

// wrote waits for an event of the trail.
func (d *desk) wrote(name, client, detail, actor string) {
	d.t.Helper()
	require.Eventually(d.t, func() bool {
		for _, e := range d.events(name) {
			if e.Client == client && e.Detail == detail && e.Actor == actor {
				return true
			}
		}
		return false
	}, 5*time.Second, 10*time.Millisecond, "%s %s %s %s", name, client, detail, actor)
}

// make creates a machine by the form, and returns the page with its secret.
func (b *browser) make(id, name string) page {
	b.t.Helper()
	p := b.post("/console/clients/new", "form", "once-"+id, "client_id", id, "name", name, "kind", "machine", "scope", "orders:*", "default_scope", "orders:read")
	require.Equal(b.t, http.StatusOK, p.StatusCode, p.body)
	return p
}

var shownSecret = regexp.MustCompile(`gcs_[A-Za-z0-9]+`)
