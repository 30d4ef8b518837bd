package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// silent is a ResponseWriter that costs nothing, so that what is counted is the server's.
type silent struct {
	header http.Header
	status int
	body   []byte
}

func (s *silent) Header() http.Header         { return s.header }
func (s *silent) Write(p []byte) (int, error) { s.body = append(s.body, p...); return len(p), nil }
func (s *silent) WriteHeader(status int)      { s.status = status }

// hot is a server with everything on: limits, metrics, the audit trail; in memory, so that no
// store's cost is counted.
func hot(tb testing.TB) *Server {
	tb.Helper()
	store := tokens.NewMemory(10_000_000)
	app := &clients.Client{Registration: clients.Registration{ID: "phone", Method: clients.MethodNone, Grants: []string{clients.GrantPassword, clients.GrantRefreshToken}}, Scope: rules("orders:*"), DefaultScope: scopes.MustParse("orders:read")}
	registry, err := clients.NewConfigured(tb.Context(), append(testClients(), app), store)
	require.NoError(tb, err)
	directory, err := users.NewConfigDirectory([]users.ConfigUser{{ID: "u-1", Username: "ada", PasswordHash: adaHash(), Scope: scopeRules("orders:read orders:write")}})
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	go registry.Run(ctx, log)
	m := metrics.New("test")
	sink := audit.NewWriter(io.Discard)
	s, err := New(tb.Context(), Config{Issuer: "https://auth.example.com", Clients: registry, Catalogue: testCatalogue(), Store: store, Log: log,
		Metrics: m, Audit: audit.New(sink, log, m.Audited), Users: users.NewHashing(directory, users.NewSlots(0))})
	require.NoError(tb, err)
	tb.Cleanup(func() { cancel(); sink.Close(); _ = store.Close() })
	return s
}

// request returns what sends one form, again and again.
func request(s *Server, path, id, secret, form string) (send func() *silent) {
	each := requests(s, path, id, secret)
	return func() *silent { return each(form) }
}

// requests returns what sends forms.
func requests(s *Server, path, id, secret string) (send func(form string) *silent) {
	w := &silent{header: http.Header{}}
	proto := httptest.NewRequest(http.MethodPost, path, nil)
	proto.Header.Set("Content-Type", formType)
	if secret != "" {
		proto.SetBasicAuth(id, secret)
	}
	body := strings.NewReader("")
	proto.Body = io.NopCloser(body)
	return func(form string) *silent {
		clear(w.header)
		w.body, w.status = w.body[:0], 0
		body.Reset(form)
		r := *proto // net/http makes one a request
		r.ContentLength = int64(len(form))
		s.ServeHTTP(w, &r)
		return w
	}
}

// refreshing logs a user in and returns what uses the last refresh token.
func refreshing(tb testing.TB, s *Server) func() *silent {
	tb.Helper()
	send := requests(s, "/oauth2/token", "phone", "")
	w := send("grant_type=password&client_id=phone&username=ada&password=" + url.QueryEscape(adaPassword))
	require.Equal(tb, 200, w.status, string(w.body))
	form := []byte("grant_type=refresh_token&client_id=phone&refresh_token=")
	fixed := len(form)
	return func() *silent {
		_, token, _ := bytes.Cut(w.body, []byte(`"refresh_token":"`))
		token, _, _ = bytes.Cut(token, []byte(`"`))
		form = append(form[:fixed], token...)
		if w = send(string(form)); w.status != http.StatusOK {
			tb.Fatalf("the session was lost: %s", w.body)
		}
		return w
	}
}

func sends(tb testing.TB, s *Server) map[string]func() *silent {
	tb.Helper()
	issue := request(s, "/oauth2/token", "app", "app-secret", "grant_type=client_credentials&scope=orders%3Aread")
	w := issue()
	require.Equal(tb, 200, w.status, string(w.body))
	_, rest, _ := strings.Cut(string(w.body), `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	other := token[:len(token)-1] + string('0'+(token[len(token)-1]-'0'+1)%10)
	return map[string]func() *silent{
		"issue":      issue,
		"introspect": request(s, "/oauth2/introspect", "gateway", "rs", "token="+token),
		"garbage":    request(s, "/oauth2/introspect", "gateway", "rs", "token="+url.QueryEscape(other)),
		"revoke":     request(s, "/oauth2/revoke", "app", "app-secret", "token="+url.QueryEscape(other)),
		"refresh":    refreshing(tb, s),
	}
}

// TestAllocations holds what a request may allocate: everything of Grantor's on the way, Gin and
// go-oauth2 included. A change that needs more says why here.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates too")
	}
	budget := map[string]float64{"issue": 32, "introspect": 17, "garbage": 13, "revoke": 13, "refresh": 48} // parameters and answer are the request's own
	for name, send := range sends(t, hot(t)) {
		require.Equal(t, 200, send().status, name)
		time.Sleep(time.Millisecond)
		got := testing.AllocsPerRun(500, func() { send() })
		for range 4 { // goroutines of other tests allocate too, and more on a busy machine
			got = min(got, testing.AllocsPerRun(500, func() { send() }))
		}
		t.Logf("%s: %.0f allocations", name, got)
		if got > budget[name] {
			t.Errorf("%s: %.0f allocations, more than %.0f", name, got, budget[name])
		}
	}
}

func BenchmarkEndpoints(b *testing.B) {
	s := hot(b)
	for name, send := range sends(b, s) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				send()
			}
		})
	}
}
