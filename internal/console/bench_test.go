package console_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/console"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/node"
	"github.com/grantor-auth/grantor/tokens"
)

// BenchmarkTokenBesideConsole is the token endpoint of a node without a console, of one with it,
// and of one whose overview is asked for twice a second. Slices of half a second take turns, b.N
// rounds of them. It prints the median slice of each in µs per request, and both ratios.
func BenchmarkTokenBesideConsole(b *testing.B) {
	redis, secret := redistest.Start(b), tokens.NewSecret()
	open := func(console string) (public, admin http.Handler, cfg *config.Config) {
		cfg, _, err := config.Parse("store = \"redis\"\nredis.url = \"" + redis.URL + "\"\naudit.output = \"" + b.TempDir() + "/trail\"\n" +
			"scopes.\"orders:read\" = {}\nadmin.listen = \"127.0.0.1:1\"\nadmin.console.enabled = " + console +
			"\n[[clients]]\nclient_id = \"job\"\ngrant_types = [\"client_credentials\"]\nscope = \"orders:read\"\n" +
			"default_scope = \"orders:read\"\nsecrets = [{ hash = \"" + clients.HashSecret(secret).String() + "\" }]\n")
		require.NoError(b, err)
		n, err := node.Open(context.Background(), cfg, node.Options{Log: (&lines{}).logger()})
		require.NoError(b, err)
		b.Cleanup(n.Close)
		return n.Handler(), n.AdminHandler(), cfg
	}
	without, _, _ := open("false")
	with, admin, cfg := open("true")
	session := enter(b, cfg, admin)

	var took [3][]float64
	for b.Loop() {
		took[0] = append(took[0], tokensFor(b, without, secret, nil))
		took[1] = append(took[1], tokensFor(b, with, secret, nil))
		took[2] = append(took[2], tokensFor(b, with, secret, func() { look(b, admin, session) }))
	}
	median := func(of []float64) float64 { slices.Sort(of); return of[len(of)/2] }
	base := median(took[0])
	b.ReportMetric(base, "µs-without")
	b.ReportMetric(median(took[1])/base, "with/without")
	b.ReportMetric(median(took[2])/base, "looked-at/without")
}

// tokensFor asks for tokens for half a second, beside one look, and returns the µs of one request.
func tokensFor(b *testing.B, public http.Handler, secret string, look func()) float64 {
	var looking sync.WaitGroup
	if look != nil {
		looking.Go(look)
	}
	began, asked := time.Now(), 0
	for ; time.Since(began) < 500*time.Millisecond; asked++ {
		r := httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader("grant_type=client_credentials"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("job", secret)
		w := httptest.NewRecorder()
		if public.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
	took := time.Since(began)
	looking.Wait()
	return float64(took.Microseconds()) / float64(asked)
}

// look asks for the overview once.
func look(b *testing.B, admin http.Handler, session *http.Cookie) {
	r := httptest.NewRequest(http.MethodGet, "/console/", nil)
	r.Host = "127.0.0.1"
	r.AddCookie(session)
	w := httptest.NewRecorder()
	if admin.ServeHTTP(w, r); w.Code != http.StatusOK {
		b.Error(w.Body)
	}
}

// enter logs in, and returns the cookie of the session.
func enter(b *testing.B, cfg *config.Config, admin http.Handler) *http.Cookie {
	db, err := parts.Redis(cfg.Redis, (&lines{}).logger())
	require.NoError(b, err)
	defer db.Close()
	code, err := console.NewStore(db).NewLink(context.Background(), "ada")
	require.NoError(b, err)
	ask := func(method, body string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/console/login", strings.NewReader(body))
		r.Host = "127.0.0.1"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, r)
		return w
	}
	page := ask(http.MethodGet, "")
	token := hiddenToken.FindStringSubmatch(page.Body.String())[1]
	for _, c := range ask(http.MethodPost, url.Values{"csrf": {token}, "code": {code}}.Encode(), page.Result().Cookies()...).Result().Cookies() {
		if c.Name == "grantor-console" {
			return c
		}
	}
	b.Fatal("nobody was logged in")
	return nil
}
