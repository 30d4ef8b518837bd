package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
)

const (
	ordersResource   = "https://orders.example.com"
	invoicesResource = "https://invoices.example.com"
)

// fixture is a whole server over real HTTP with a memory store.
type fixture struct {
	*httptest.Server
	server   *Server
	store    *flakyStore
	registry *clients.Configured
	clients  []*clients.Client
	log      *lines
	feed     *feed.Reader
}

// fixtureLease makes tests of polls short.
const fixtureLease = 400 * time.Millisecond

// staticRegistry has no registered clients.
type staticRegistry struct{ *clients.Configured }

func (staticRegistry) Changed([]string) {}
func (staticRegistry) ChangedAll()      {}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// flakyStore is a memory store that can be made to fail.
type flakyStore struct {
	*tokens.Memory
	broken error
	stream *flakyStream
}

// flakyStream is a stream that can be made to fail.
type flakyStream struct {
	feed.Stream
	broken  atomic.Pointer[error]
	foreign atomic.Bool // not enabled
}

func (f *flakyStream) Read(ctx context.Context, after feed.Position, most int) (*feed.Page, error) {
	if err := f.broken.Load(); err != nil {
		return nil, *err
	}
	page, err := f.Stream.Read(ctx, after, most)
	if f.foreign.Load() {
		page.Enabled = false
	}
	return page, err
}

func (f *flakyStore) Feed() feed.Stream { return f.stream }

func (f *flakyStore) Issue(ctx context.Context, t tokens.Token, r *tokens.Record) error {
	if f.broken != nil {
		return f.broken
	}
	return f.Memory.Issue(ctx, t, r)
}

func (f *flakyStore) Load(ctx context.Context, t tokens.Token) (*tokens.Record, error) {
	if f.broken != nil {
		return nil, f.broken
	}
	return f.Memory.Load(ctx, t)
}

func (f *flakyStore) Revoke(ctx context.Context, t tokens.Token, id string) (bool, error) {
	if f.broken != nil {
		return false, f.broken
	}
	return f.Memory.Revoke(ctx, t, id)
}

func (f *flakyStore) Once(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	if f.broken != nil {
		return false, f.broken
	}
	return f.Memory.Once(ctx, key, ttl)
}

func (f *flakyStore) Ping(ctx context.Context) error {
	if f.broken != nil {
		return f.broken
	}
	return f.Memory.Ping(ctx)
}

func secrets(texts ...string) (list []clients.Secret) {
	for _, t := range texts {
		list = append(list, clients.Secret{Hash: clients.HashSecret(t)})
	}
	return list
}

func rules(text string) scopes.Rules {
	r, err := scopes.ParseRules(text)
	if err != nil {
		panic(err)
	}
	return r
}

func testCatalogue() *scopes.Catalogue {
	c, err := scopes.NewCatalogue(map[string]scopes.Scope{
		"orders:read":   {Resource: ordersResource},
		"orders:write":  {Resource: ordersResource, Implies: []string{"orders:read"}},
		"invoices:read": {Resource: invoicesResource},
		"plain":         {},
		"other":         {},
	})
	if err != nil {
		panic(err)
	}
	return c
}

func testClients() []*clients.Client {
	machine := []string{clients.GrantClientCredentials}
	return []*clients.Client{
		{Registration: clients.Registration{ID: "app", Secrets: secrets("app-secret", "app-second"), Grants: machine}, Scope: rules("orders:* plain invoices:read"), DefaultScope: scopes.MustParse("orders:read")},
		{Registration: clients.Registration{ID: "nodefault", Secrets: secrets("s"), Grants: machine}, Scope: rules("plain")},
		{Registration: clients.Registration{ID: "a:b c", Secrets: secrets("x+&=%y"), Grants: machine}, Scope: rules("plain"), DefaultScope: scopes.MustParse("plain")},
		{Registration: clients.Registration{ID: "basic-only", Method: clients.MethodBasic, Secrets: secrets("s"), Grants: machine}, Scope: rules("plain"), DefaultScope: scopes.MustParse("plain")},
		{Registration: clients.Registration{ID: "grantless", Secrets: secrets("s")}, Scope: rules("plain")},
		{Registration: clients.Registration{ID: "public", Method: clients.MethodNone}, Scope: rules("plain")},
		{Registration: clients.Registration{ID: "disabled", Secrets: secrets("s"), Grants: machine, Disabled: true}, Scope: rules("plain")},
		{Registration: clients.Registration{ID: "expiring", Grants: machine, Secrets: []clients.Secret{
			{Hash: clients.HashSecret("old"), ExpiresAt: time.Now().Add(-time.Second)},
			{Hash: clients.HashSecret("new"), ExpiresAt: time.Now().Add(time.Hour)},
		}}, Scope: rules("plain"), DefaultScope: scopes.MustParse("plain")},
		{Registration: clients.Registration{ID: "demo", Secrets: secrets("demo"), Grants: machine}, Scope: rules("plain"), DefaultScope: scopes.MustParse("plain"), Demo: true},
		{Registration: clients.Registration{ID: "orders-api", Secrets: secrets("rs"), Resource: ordersResource, Introspect: clients.SightAudience}},
		{Registration: clients.Registration{ID: "invoices-api", Secrets: secrets("rs"), Resource: invoicesResource, Introspect: clients.SightAudience}},
		{Registration: clients.Registration{ID: "gateway", Secrets: secrets("rs"), Introspect: clients.SightAny}},
		{Registration: clients.Registration{ID: "stranger", Secrets: secrets("rs"), Grants: machine}, Scope: rules("plain"), DefaultScope: scopes.MustParse("plain")},
	}
}

// start serves a fixture; change may alter the configuration first.
func start(t *testing.T, change ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{log: &lines{}, clients: testClients()}
	f.store = &flakyStore{Memory: tokens.NewMemory(0)}
	f.store.stream = &flakyStream{Stream: f.store.Memory.Feed()}
	t.Cleanup(func() { require.NoError(t, f.store.Close()) })
	for _, c := range f.clients {
		require.NoError(t, c.Check(testCatalogue()), c.ID)
	}
	var err error
	f.registry, err = clients.NewConfigured(t.Context(), f.clients, f.store)
	require.NoError(t, err)
	log := slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go f.registry.Run(ctx, log)
	f.feed, err = feed.NewReader(f.store.Feed(), fixtureLease, log)
	require.NoError(t, err)
	go f.feed.Run(ctx)

	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.server.ServeHTTP(w, r) }))
	f.Server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	f.Server.Config.MaxHeaderBytes = MaxHeaderBytes
	f.Server.Start()
	t.Cleanup(f.Server.Close)
	cfg := Config{Issuer: f.URL, Clients: f.registry, Catalogue: testCatalogue(), Store: f.store, Log: log,
		ClientFailures: lockout.NewRateLimit(lockout.NewMemory(), "client", 10_000, time.Minute), PublicClients: true, Feed: f.feed.View(staticRegistry{f.registry})}
	for _, c := range change {
		c(&cfg)
	}
	f.server, err = New(t.Context(), cfg)
	require.NoError(t, err)
	return f
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (r reply) text(key string) string { s, _ := r.json[key].(string); return s }

// call sends one request. Headers are "Name: value".
func (f *fixture) call(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		} else {
			req.Header.Add(name, value)
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	r := reply{status: res.StatusCode, header: res.Header, body: string(text)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		require.NoError(t, json.Unmarshal(text, &r.json), r.body)
	}
	f.described(t, req, body, res, text)
	return r
}

const formHeader = "Content-Type: " + formType

// post sends a form as a client; basic is "id:secret" as RFC 6749 §2.3.1 wants it encoded, or "".
func (f *fixture) post(t *testing.T, path, basic, body string, headers ...string) reply {
	t.Helper()
	headers = append(headers, formHeader)
	if basic != "" {
		headers = append(headers, authorization(basic))
	}
	return f.call(t, http.MethodPost, path, body, headers...)
}

func authorization(basic string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(basic))
}

const (
	app  = "app:app-secret"
	ask  = "grant_type=client_credentials"
	tokP = "/oauth2/token"
	intP = "/oauth2/introspect"
	revP = "/oauth2/revoke"
)

// issue gets an access token as client app.
func (f *fixture) issue(t *testing.T, more string) string {
	t.Helper()
	r := f.post(t, tokP, app, ask+more)
	require.Equal(t, http.StatusOK, r.status, r.body)
	return r.text("access_token")
}

// inspect introspects as the gateway, which sees every access token.
func (f *fixture) inspect(t *testing.T, token string) reply {
	t.Helper()
	r := f.post(t, intP, "gateway:rs", "token="+url.QueryEscape(token))
	require.Equal(t, http.StatusOK, r.status, r.body)
	return r
}

// refused demands a refusal as RFC 6749 §5.2 writes it.
func refused(t *testing.T, r reply, status int, code string) {
	t.Helper()
	require.Equal(t, status, r.status, r.body)
	require.Equal(t, code, r.text("error"), r.body)
	require.Equal(t, "application/json", r.header.Get("Content-Type"))
	require.Contains(t, r.header.Get("Cache-Control"), "no-store")
	require.NotContains(t, r.body, "access_token")
}
