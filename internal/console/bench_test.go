package console_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// BenchmarkTokenBesideConsole is the token endpoint of a node without a console, with one, and with
// one whose overview is asked for twice a second.
func BenchmarkTokenBesideConsole(b *testing.B) {
	redis, secret := redistest.Start(b), tokens.NewSecret()
	for _, one := range []struct {
		name, console string
		looks         bool
	}{{"without", "false", false}, {"with", "true", false}, {"looked at", "true", true}} {
		b.Run(one.name, func(b *testing.B) {
			cfg, _, err := config.Parse("store = \"redis\"\nredis.url = \"" + redis.URL + "\"\naudit.output = \"" + b.TempDir() + "/trail\"\n" +
				"scopes.\"orders:read\" = {}\nadmin.listen = \"127.0.0.1:1\"\nadmin.console.enabled = " + one.console +
				"\n[[clients]]\nclient_id = \"job\"\ngrant_types = [\"client_credentials\"]\nscope = \"orders:read\"\n" +
				"default_scope = \"orders:read\"\nsecrets = [{ hash = \"" + clients.HashSecret(secret).String() + "\" }]\n")
			require.NoError(b, err)
			n, err := node.Open(context.Background(), cfg, node.Options{Log: (&lines{}).logger()})
			require.NoError(b, err)
			defer n.Close()
			public, stop := n.Handler(), make(chan struct{})
			var looking sync.WaitGroup
			if one.looks {
				looking.Go(func() { look(b, cfg, n.AdminHandler(), stop) })
			}
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.SetBasicAuth("job", secret)
				w := httptest.NewRecorder()
				if public.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
			}
			close(stop)
			looking.Wait()
		})
	}
}

// look asks for the overview twice a second until stop is closed.
func look(b *testing.B, cfg *config.Config, admin http.Handler, stop chan struct{}) {
	session := enter(b, cfg, admin)
	for {
		r := httptest.NewRequest(http.MethodGet, "/console/", nil)
		r.Host = "127.0.0.1"
		r.AddCookie(session)
		w := httptest.NewRecorder()
		if admin.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Error(w.Body)
			return
		}
		select {
		case <-stop:
			return
		case <-time.After(500 * time.Millisecond):
		}
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
