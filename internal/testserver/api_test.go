package testserver_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/testserver"
)

// served is a test server behind a real URL.
type served struct {
	t *testing.T
	*testserver.Server
	url string
}

func serve(t *testing.T, o testserver.Options) served {
	t.Helper()
	var handler http.Handler
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	o.URL = l.URL
	if o.Base == nil {
		o.Base = func() *config.Config { c := config.Default(); c.Audit.Output = ""; return c }
	}
	o.Node.Log = slog.New(slog.DiscardHandler)
	s, err := testserver.Open(t.Context(), o)
	require.NoError(t, err)
	handler = s.Handler()
	t.Cleanup(func() { l.Close(); s.Close() })
	return served{t, s, l.URL}
}

type members = map[string]any

// ask sends JSON to an endpoint below /test.
func (s served) ask(method, path string, body any) (int, members) {
	s.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(s.t, err)
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, bytes.NewReader(text))
	require.NoError(s.t, err)
	r.Header.Set("Content-Type", "application/json")
	return s.do(r)
}

func (s served) do(r *http.Request) (int, members) {
	s.t.Helper()
	res, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer res.Body.Close()
	var answer members
	require.NoError(s.t, json.NewDecoder(res.Body).Decode(&answer))
	require.Equal(s.t, "no-store", res.Header.Get("Cache-Control"))
	return res.StatusCode, answer
}

func (s served) does(method, path string, body any) members {
	s.t.Helper()
	code, answer := s.ask(method, path, body)
	require.Equal(s.t, 200, code, answer)
	return answer
}

// form asks an endpoint of Grantor as a client.
func (s served) form(path string, client testserver.Identity, form url.Values) (int, members) {
	s.t.Helper()
	if client.Secret == "" {
		form.Set("client_id", client.ID)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, strings.NewReader(form.Encode()))
	require.NoError(s.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client.Secret != "" {
		r.SetBasicAuth(client.ID, client.Secret)
	}
	return s.do(r)
}

func (s served) introspect(token any) members {
	s.t.Helper()
	code, answer := s.form("/oauth2/introspect", s.API, url.Values{"token": {token.(string)}})
	require.Equal(s.t, 200, code)
	return answer
}

func TestTokens(t *testing.T) {
	s := serve(t, testserver.Options{})
	t.Run("a machine's", func(t *testing.T) {
		got := s.does("POST", "/test/tokens", members{"scope": "orders:read orders:write"})
		require.True(t, strings.HasPrefix(got["access_token"].(string), "gat_"))
		require.Equal(t, "Bearer", got["token_type"])
		about := s.introspect(got["access_token"])
		require.Equal(t, "orders:read orders:write", about["scope"])
		require.Equal(t, "client", about["sub_type"])
	})
	t.Run("a user's, of a client, with lifetime, audience and format", func(t *testing.T) {
		got := s.does("POST", "/test/tokens", members{"scope": "orders:read", "sub": "u-1", "client_id": "till", "expires_in": 60,
			"aud": []string{"https://orders.example.com", "https://other.example.com"}, "format": "jwt"})
		require.True(t, strings.HasPrefix(got["access_token"].(string), "ey"))
		require.InDelta(t, 60, got["expires_in"], 0)
		about := s.introspect(got["access_token"])
		require.Equal(t, "u-1", about["sub"])
		require.Equal(t, "user", about["sub_type"])
		require.Equal(t, "till", about["client_id"])
		require.Equal(t, []any{"https://orders.example.com", "https://other.example.com"}, about["aud"])
		require.InDelta(t, 60, about["exp"].(float64)-about["iat"].(float64), 0)
	})
	t.Run("the next token of the client is as the configuration says", func(t *testing.T) {
		got := s.does("POST", "/test/tokens", members{"scope": "orders:read", "client_id": "till"})
		require.True(t, strings.HasPrefix(got["access_token"].(string), "gat_"))
		require.InDelta(t, 900, got["expires_in"], 0)
		require.Nil(t, s.introspect(got["access_token"])["aud"])
	})
	t.Run("by many at once each as it was asked for", func(t *testing.T) {
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				lifetime := 10 + i
				code, got := s.ask("POST", "/test/tokens", members{"scope": "orders:read", "client_id": "shared", "expires_in": lifetime})
				if code != 200 || int(got["expires_in"].(float64)) != lifetime {
					t.Errorf("asked for %d: %d %v", lifetime, code, got)
				}
			})
		}
		all.Wait()
	})
}

func TestEnds(t *testing.T) {
	s := serve(t, testserver.Options{})
	issue := func(more members) members {
		t.Helper()
		more["scope"] = "orders:read"
		return s.does("POST", "/test/tokens", more)
	}
	for _, end := range []string{"revoke", "expire"} {
		one, other := issue(members{}), issue(members{})
		s.does("POST", "/test/"+end, members{"token": one["access_token"]})
		require.Equal(t, false, s.introspect(one["access_token"])["active"], end)
		require.Equal(t, true, s.introspect(other["access_token"])["active"], end)
	}
	t.Run("RFC 7009 §2.1 a refresh token ends the session, of any client", func(t *testing.T) {
		for _, client := range []string{"", "confidential"} {
			login := issue(members{"sub": "u-1", "client_id": client})
			s.does("POST", "/test/revoke", members{"token": login["refresh_token"]})
			require.Equal(t, false, s.introspect(login["access_token"])["active"], client)
		}
	})
	t.Run("the clock", func(t *testing.T) {
		token := issue(members{"expires_in": 60})["access_token"]
		before := s.does("GET", "/test/clock", nil)["now"].(string)
		after := s.does("POST", "/test/clock", members{"advance": "61s"})["now"].(string)
		require.Greater(t, after, before)
		require.Equal(t, false, s.introspect(token)["active"])
		require.Equal(t, true, s.introspect(issue(members{})["access_token"])["active"])
	})
}

func TestFail(t *testing.T) {
	s := serve(t, testserver.Options{})
	token := s.does("POST", "/test/tokens", members{"scope": "a"})["access_token"].(string)
	status := func() int {
		t.Helper()
		code, _ := s.form("/oauth2/introspect", s.API, url.Values{"token": {token}})
		return code
	}
	s.does("POST", "/test/fail", members{"requests": 2})
	require.Equal(t, []int{503, 503, 200}, []int{status(), status(), status()})
	s.does("POST", "/test/fail", members{"status": 500})
	require.Equal(t, []int{500, 500, 500}, []int{status(), status(), status()})
	s.does("POST", "/test/tokens", members{"scope": "a"})
	s.does("DELETE", "/test/fail", nil)
	require.Equal(t, 200, status())
}

func TestClientsAndUsers(t *testing.T) {
	s := serve(t, testserver.Options{})
	grant := func(client testserver.Identity, form url.Values) (int, members) {
		return s.form("/oauth2/token", client, form)
	}
	made := s.does("POST", "/test/clients", members{"client_id": "job", "scope": "orders:read"})
	job := testserver.Identity{ID: "job", Secret: made["client_secret"].(string)}
	code, _ := grant(job, url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}})
	require.Equal(t, 200, code)
	s.does("POST", "/test/tokens", members{"scope": "orders:write"})
	code, refused := grant(job, url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:write"}})
	require.Equal(t, 400, code)
	require.Equal(t, "invalid_scope", refused["error"])
	s.does("POST", "/test/users", members{"sub": "u-1", "username": "ada", "password": "correct horse", "scope": "orders:read"})
	s.does("POST", "/test/clients", members{"client_id": "phone", "public": true})
	login := func() (int, members) {
		return grant(testserver.Identity{ID: "phone"},
			url.Values{"grant_type": {"password"}, "username": {"ada"}, "password": {"correct horse"}, "scope": {"orders:read"}})
	}
	code, first := login()
	require.Equal(t, 200, code, first)
	s.does("DELETE", "/test/users/u-1", nil)
	code, _ = login()
	require.Equal(t, 400, code)
	code, _ = grant(testserver.Identity{ID: "phone"}, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first["refresh_token"].(string)}})
	require.Equal(t, 400, code, "a user who is gone is refreshed no more")
}

// TestBase: a configuration of the user's keeps its scopes and clients.
func TestBase(t *testing.T) {
	base, _, err := config.Parse(`store = "memory"
[scopes]
"orders:read" = { resource = "https://orders.example.com" }
[[clients]]
client_id = "theirs"
scope = "orders:read"
grant_types = ["client_credentials"]
secrets = [{ hash = "sha256:71bf4abd665ce9f5bbe56971fe54b508fce3b351326628ebfae4aee97d522444" }]
`)
	require.NoError(t, err)
	s := serve(t, testserver.Options{Base: func() *config.Config { c := base.Copy(); c.Audit.Output = ""; return c }})
	got := s.does("POST", "/test/tokens", members{"scope": "orders:read"})
	require.Equal(t, []any{"https://orders.example.com"}, s.introspect(got["access_token"])["aud"])
	for _, c := range []struct {
		body members
		want string
	}{
		{members{"scope": "orders:read", "client_id": "theirs"}, `client "theirs" is in the configuration`},
		{members{"scope": "orders:read", "aud": []string{"https://other.example.com"}}, "has a resource in the configuration"},
	} {
		code, answer := s.ask("POST", "/test/tokens", c.body)
		require.Equal(t, 400, code)
		require.Contains(t, answer["error_description"], c.want)
	}
	s.does("POST", "/test/tokens", members{"scope": "other:scope"})
	require.Len(t, base.Clients, 1, "the configuration that was read is not changed")
	require.Len(t, base.Scopes, 1)
}

func TestRefusals(t *testing.T) {
	s := serve(t, testserver.Options{})
	for name, c := range map[string]struct {
		path string
		body any
		want string
	}{
		"no scope":                   {"tokens", members{}, "scope is required"},
		"a scope that cannot be":     {"tokens", members{"scope": `a"b`}, "malformed scope"},
		"a scope of Grantor's":       {"tokens", members{"scope": "grantor:nothing"}, "grantor:nothing"},
		"a member that is none":      {"tokens", members{"scope": "a", "subject": "u-1"}, "unknown field"},
		"a format that is none":      {"tokens", members{"scope": "a", "format": "JWT"}, `format is "JWT"`},
		"a lifetime beyond a day":    {"tokens", members{"scope": "a", "expires_in": 86401}, "from 1 to 86400"},
		"a lifetime below nothing":   {"tokens", members{"scope": "a", "expires_in": -1}, "from 1 to 86400"},
		"an audience that is no URI": {"tokens", members{"scope": "a", "aud": []string{"orders"}}, `aud has "orders"`},
		"a client that is an API":    {"tokens", members{"scope": "a", "client_id": "grantortest-api"}, "unauthorized_client"},
		"a client id that is none":   {"tokens", members{"scope": "a", "client_id": "gat_x"}, "client_id"},
		"no JSON":                    {"tokens", "text", "the JSON cannot be read"},
		"no token":                   {"revoke", members{}, "token is required"},
		"a token of somebody else":   {"revoke", members{"token": "gat_x"}, "no active token of this server"},
		"to expire it":               {"expire", members{"token": "gat_x"}, "no active token of this server"},
		"a status that is none":      {"fail", members{"status": 7}, "7 is no status of HTTP"},
		"fewer than no requests":     {"fail", members{"requests": -1}, "no number of requests"},
		"a clock that goes back":     {"clock", members{"advance": "-1s"}, "cannot go back"},
		"a clock beyond all bounds":  {"clock", members{"advance": "876001h"}, "more than a hundred years"},
		"no time":                    {"clock", members{"advance": "soon"}, "advance:"},
		"a client that is there":     {"clients", members{"client_id": "grantortest-app"}, "exists already"},
		"a user without a password":  {"users", members{"sub": "u", "username": "u"}, "needs a sub, a name and a password"},
	} {
		t.Run(name, func(t *testing.T) {
			code, answer := s.ask("POST", "/test/"+c.path, c.body)
			require.Equal(t, 400, code)
			require.Equal(t, "invalid_request", answer["error"])
			require.Contains(t, answer["error_description"], c.want)
			require.NotContains(t, answer["error_description"], "\n", "one mistake is one line")
		})
	}
	t.Run("what was refused is forgotten", func(t *testing.T) {
		s.does("POST", "/test/tokens", members{"scope": "a"})
		s.does("POST", "/test/clients", members{"client_id": "client-of-later"})
	})
}

// TestOnlyPrograms: a web page in a browser of this machine can reach loopback, by a form, or by a
// name of its own that leads here.
func TestOnlyPrograms(t *testing.T) {
	s := serve(t, testserver.Options{})
	for name, change := range map[string]func(*http.Request){
		"a page of another origin": func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.com") },
		"a name that leads here":   func(r *http.Request) { r.Host = "evil.example.com" },
		"an address of others":     func(r *http.Request) { r.Host = "192.0.2.1:80" },
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/test", "/test/tokens", "/test/none"} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
				require.NoError(t, err)
				change(r)
				code, answer := s.do(r)
				require.Equal(t, 403, code)
				require.Contains(t, answer["error_description"], "no web page")
			}
		})
	}
	t.Run("a page that asks for users", func(t *testing.T) {
		require.NoError(t, s.AddUser(testserver.User{Sub: "u-1", Name: "ada", Password: "correct horse"}))
		for _, origin := range []string{"", "https://evil.example.com"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/grantortest/users", strings.NewReader(`{"sub":"u-1"}`))
			require.NoError(t, err)
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			res, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			text, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, origin == "", res.StatusCode == 200)
			require.NotContains(t, string(text), "correct horse")
		}
	})
	t.Run("a form", func(t *testing.T) {
		code, answer := s.form("/test/fail", s.API, url.Values{})
		require.Equal(t, 400, code)
		require.Contains(t, answer["error_description"], "Content-Type: application/json")
		_, still := s.ask("GET", "/test", nil)
		require.Equal(t, s.Issuer, still["issuer"])
	})
	t.Run("localhost is this machine", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/test", nil)
		require.NoError(t, err)
		r.Host = "localhost:8080"
		code, _ := s.do(r)
		require.Equal(t, 200, code)
	})
}
