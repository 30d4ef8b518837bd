package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/users"
)

const adaPassword = "correct horse battery staple"

var adaHash = sync.OnceValue(func() string { h, _ := users.Hash(adaPassword); return h })

// withUsers adds an app and a directory to a deployment.
func withUsers(t *testing.T, store, directory string) deployment {
	t.Helper()
	d := deploy(t, store+"grants.password = true\n")
	f, err := os.OpenFile(d.config, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`
[[clients]]
client_id = "app"
token_endpoint_auth_method = "none"
grant_types = ["password", "refresh_token"]
scope = "orders:*"
default_scope = "orders:read"
[[clients]]
client_id = "strict"
token_endpoint_auth_method = "none"
grant_types = ["password", "refresh_token"]
scope = "orders:*"
default_scope = "orders:read"
retry_window = "0s"
` + directory)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return d
}

func configUsers() string {
	return "[[users.config]]\nid = \"u-1\"\nusername = \"ada\"\npassword_hash = \"" + adaHash() + "\"\nscope = \"orders:*\"\n"
}

const redisUsers = "[users]\nsource = \"redis\"\nscope = \"orders:read\"\n"

func login(t *testing.T, p *process, name, password string) reply {
	t.Helper()
	return post(t, p.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"password"}, "client_id": {"app"}, "username": {name}, "password": {password}})
}

func refresh(t *testing.T, p *process, client, token string) reply {
	t.Helper()
	return post(t, p.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token}})
}

func (r reply) text(key string) string { s, _ := r.json[key].(string); return s }

// command runs the command line beside a running deployment.
func (d deployment) command(t *testing.T, stdin string, args ...string) (string, int) {
	t.Helper()
	c := exec.Command(built(t, module), append(args, "--config", d.config)...)
	c.Stdin, c.Env = strings.NewReader(stdin), append(os.Environ(), everywhere()...)
	out, err := c.CombinedOutput()
	if err != nil {
		require.NotNil(t, c.ProcessState, err)
	}
	return string(out), c.ProcessState.ExitCode()
}

func (d deployment) must(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, code := d.command(t, stdin, args...)
	require.Zero(t, code, out)
	return out
}

func TestTwoNodes(t *testing.T) {
	s := redistest.Start(t)
	d := withUsers(t, redisStore(s), configUsers())
	a, b := d.serve(t), d.serve(t)
	t.Run("RT-16 V-01 S-53 64 clients refresh one token at once over two processes, 50 rounds: one pair, no 5xx", func(t *testing.T) {
		now := login(t, a, "ada", adaPassword).text("refresh_token")
		require.NotEmpty(t, now)
		for range 50 {
			var mu sync.Mutex
			pairs := map[string]int{}
			var wg sync.WaitGroup
			for i := range 64 {
				p := []*process{a, b}[i%2]
				wg.Go(func() {
					r := refresh(t, p, "app", now)
					mu.Lock()
					defer mu.Unlock()
					pairs[fmt.Sprint(r.status, r.text("access_token"), " ", r.text("refresh_token"))]++
				})
			}
			wg.Wait()
			require.Len(t, pairs, 1)
			for pair := range pairs {
				require.True(t, strings.HasPrefix(pair, "200"), pair)
				now = pair[strings.LastIndex(pair, " ")+1:]
			}
		}
		require.Len(t, d.sessions(t), 1, "one session alive")
	})
	t.Run("RT-12 RT-13 a token replayed after its successor was used, on the other node, ends the session", func(t *testing.T) {
		first := login(t, a, "ada", adaPassword)
		second := refresh(t, a, "app", first.text("refresh_token"))
		third := refresh(t, b, "app", second.text("refresh_token"))
		require.Equal(t, 200, third.status)
		require.Equal(t, 400, refresh(t, b, "app", first.text("refresh_token")).status)
		require.Equal(t, 400, refresh(t, a, "app", third.text("refresh_token")).status)
		require.Equal(t, dead, d.introspect(t, a, third.text("access_token")).body)
	})
	t.Run("RV-17 S-53 a revocation that races refreshes on two nodes leaves nothing alive, 16 times", func(t *testing.T) {
		for range 16 {
			first := login(t, a, "ada", adaPassword)
			var mu sync.Mutex
			access := []string{first.text("access_token")}
			var wg sync.WaitGroup
			for i := range 8 {
				p := []*process{a, b}[i%2]
				wg.Go(func() {
					r := refresh(t, p, "app", first.text("refresh_token"))
					mu.Lock()
					defer mu.Unlock()
					if r.status == 200 {
						access = append(access, r.text("access_token"))
					}
				})
			}
			wg.Go(func() {
				require.Equal(t, 200, post(t, b.URL+"/oauth2/revoke", "", "", url.Values{"client_id": {"app"}, "token": {first.text("refresh_token")}}).status)
			})
			wg.Wait()
			for _, token := range access {
				require.Equal(t, dead, d.introspect(t, a, token).body)
			}
		}
	})
	t.Run("V-33 nothing readable is in Redis: no token and no password, whole or in part", func(t *testing.T) {
		r := login(t, a, "ada", adaPassword)
		next := refresh(t, a, "app", r.text("refresh_token"))
		dump := dumpAll(t, s)
		for _, secret := range []string{adaPassword, r.text("access_token"), r.text("refresh_token"), next.text("access_token"), next.text("refresh_token")} {
			require.NotContains(t, dump, secret)
			require.NotContains(t, dump, secret[5:25])
		}
	})
	t.Run("S-64 every key has a lifetime, but for clients, which are data", func(t *testing.T) {
		look := s.Client()
		for _, k := range look.Keys(t.Context(), "*").Val() {
			if strings.HasPrefix(k, "grantor:clients:{registry}:") { // clients are data
				continue
			}
			require.NotEqual(t, time.Duration(-1), look.PTTL(t.Context(), k).Val(), "%q", k)
		}
	})
	t.Run("S-30 no secret in the logs", func(t *testing.T) {
		for _, p := range []*process{a, b} {
			require.NotContains(t, p.Log.String(), adaPassword)
			require.NotContains(t, p.Log.String(), "grt_")
			require.NotContains(t, p.Log.String(), "gat_")
		}
	})
}

// sessions lists ada's, by the command line.
func (d deployment) sessions(t *testing.T) (list []map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(d.must(t, "", "user", "sessions", "ada", "--json")), &list))
	return list
}

// dumpAll is every key and value of a Redis.
func dumpAll(t *testing.T, s *redistest.Server) string {
	t.Helper()
	var b strings.Builder
	c := s.Client()
	for _, k := range c.Keys(t.Context(), "*").Val() {
		b.WriteString(k)
		switch c.Type(t.Context(), k).Val() {
		case "string":
			b.WriteString(c.Get(t.Context(), k).Val())
		case "hash":
			b.WriteString(fmt.Sprint(c.HGetAll(t.Context(), k).Val()))
		case "zset":
			b.WriteString(strings.Join(c.ZRange(t.Context(), k, 0, -1).Val(), " "))
		}
	}
	seen.text(b.String())
	return b.String()
}

// swallower is a proxy that loses answers when it is told to.
func swallower(t *testing.T, target string) (string, *atomic.Bool) {
	t.Helper()
	lose := &atomic.Bool{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, target+r.URL.Path, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		req.Header = r.Header
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer res.Body.Close()
		if lose.Load() {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return "http://" + l.Addr().String(), lose
}

func TestLostAnswer(t *testing.T) {
	t.Run("RT-19 V-03 a proxy swallows the answer: the app retries with the old token and goes on, 20 of 20", func(t *testing.T) {
		d := withUsers(t, redisStore(redistest.Start(t)), configUsers())
		p := d.serve(t)
		through, lose := swallower(t, p.URL)
		now := login(t, p, "ada", adaPassword).text("refresh_token")
		use := func() (reply, error) {
			return tryPost(t.Context(), through+"/oauth2/token", "", "", url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {now}})
		}
		for range 20 {
			lose.Store(true)
			_, err := use()
			require.Error(t, err)
			lose.Store(false)
			r, err := use()
			require.NoError(t, err)
			require.Equal(t, 200, r.status, r.body)
			require.Equal(t, true, d.introspect(t, p, r.text("access_token")).json["active"])
			now = r.text("refresh_token")
		}
	})
	t.Run("V-03 Redis answers too late: the old token works after, 20 of 20", func(t *testing.T) {
		s := redistest.Start(t)
		d := withUsers(t, redisStore(s), configUsers())
		p := d.serve(t)
		now := login(t, p, "ada", adaPassword).text("refresh_token")
		for range 20 {
			s.Pause()
			r := refresh(t, p, "app", now)
			require.Equal(t, 503, r.status, r.body)
			s.Resume()
			require.Eventually(t, func() bool {
				r = refresh(t, p, "app", now)
				return r.status != 503
			}, 5*time.Second, 20*time.Millisecond)
			require.Equal(t, 200, r.status, r.body)
			now = r.text("refresh_token")
		}
	})
}

func TestRotationSurvivesRestarts(t *testing.T) {
	t.Run("RT-20 V-02 rotate, restart Grantor and Redis: the used token is refused and ends the session", func(t *testing.T) {
		s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
		d := withUsers(t, redisStore(s), configUsers())
		p := d.serve(t)
		strict := func(token string) reply { return refresh(t, p, "strict", token) }
		r0 := post(t, p.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"password"}, "client_id": {"strict"}, "username": {"ada"}, "password": {adaPassword}}).text("refresh_token")
		r1 := strict(r0).text("refresh_token")
		require.NotEmpty(t, r1)
		require.Zero(t, p.stop(termination))
		s.Restart()
		p = d.serve(t)
		r2 := strict(r1)
		require.Equal(t, 200, r2.status, r2.body)
		require.Equal(t, 400, strict(r0).status)
		require.Equal(t, 400, strict(r2.text("refresh_token")).status)
	})
}

func TestUserCommands(t *testing.T) {
	s := redistest.Start(t)
	d := withUsers(t, redisStore(s), redisUsers)
	p := d.serve(t)
	const first, second = "a long enough password", "another long password"
	d.must(t, first+"\n", "user", "add", "ada", "--id", "u-1", "--password-stdin", "--scope", "orders:read orders:write")
	alive := func(r reply) bool { return d.introspect(t, p, r.text("access_token")).json["active"] == true }
	enter := func(password string) reply {
		r := login(t, p, "ada", password)
		require.Equal(t, 200, r.status, r.body)
		require.True(t, alive(r))
		return r
	}
	t.Run("add, list: nothing readable in Redis", func(t *testing.T) {
		require.Contains(t, d.must(t, "", "user", "list"), "u-1")
		_, code := d.command(t, first+"\n", "user", "add", "ada", "--password-stdin")
		require.Equal(t, 1, code, "the name is taken")
		require.NotContains(t, dumpAll(t, s), first)
	})
	t.Run("sessions lists devices; logout --session ends one, --all the rest", func(t *testing.T) {
		one, two, three := enter(first), enter(first), enter(first)
		list := d.sessions(t)
		require.Len(t, list, 3)
		require.Equal(t, "app", list[0]["client_id"])
		require.Equal(t, "127.0.0.0/24", list[0]["address"])
		d.must(t, "", "user", "logout", "ada", "--session", list[2]["session"].(string))
		require.False(t, alive(one))
		require.True(t, alive(two))
		_, code := d.command(t, "", "user", "logout", "ada", "--all")
		require.Equal(t, 2, code, "without a terminal it wants --yes")
		require.True(t, alive(three))
		d.must(t, "", "user", "logout", "--sub", "u-1", "--all", "--yes")
		require.False(t, alive(two))
		require.False(t, alive(three))
		require.Equal(t, 400, refresh(t, p, "app", three.text("refresh_token")).status)
		require.Empty(t, d.sessions(t))
		enter(first)
	})
	t.Run("SB-08 V-09 a new password ends all, and the old one is refused", func(t *testing.T) {
		r := enter(first)
		d.must(t, second+"\n", "user", "set-password", "ada", "--password-stdin")
		require.False(t, alive(r))
		require.Equal(t, 400, refresh(t, p, "app", r.text("refresh_token")).status)
		require.Equal(t, 400, login(t, p, "ada", first).status)
		enter(second)
	})
	t.Run("PW-10 V-09 disabling ends all; enabling revives nothing", func(t *testing.T) {
		r := enter(second)
		d.must(t, "", "user", "disable", "ada", "--yes")
		require.False(t, alive(r))
		require.Equal(t, 400, refresh(t, p, "app", r.text("refresh_token")).status)
		require.Equal(t, 400, login(t, p, "ada", second).status)
		d.must(t, "", "user", "enable", "ada")
		require.False(t, alive(r))
		enter(second)
	})
	t.Run("deleting ends all; a user of the same name and id revives nothing", func(t *testing.T) {
		r := enter(second)
		d.must(t, "", "user", "delete", "ada", "--yes")
		require.False(t, alive(r))
		d.must(t, second+"\n", "user", "add", "ada", "--id", "u-1", "--password-stdin")
		require.False(t, alive(r))
		require.Equal(t, 400, refresh(t, p, "app", r.text("refresh_token")).status)
	})
	t.Run("S-11 a new password ends a lock, on every node; the log says whom to unlock", func(t *testing.T) {
		wrong := func() reply { return login(t, p, "ada", "a wrong password") }
		d.must(t, second+"\n", "user", "set-password", "ada", "--password-stdin")
		enter(second) // this address is known: it has a budget of its own
		for range 5 {
			require.Equal(t, 400, wrong().status)
		}
		require.Equal(t, 400, login(t, p, "ada", second).status, "locked")
		require.Eventually(t, func() bool { return strings.Contains(p.Log.String(), `"reason":"user_locked","sub":"u-1"`) }, 5*time.Second, 10*time.Millisecond)
		d.must(t, first+"\n", "user", "set-password", "--sub", "u-1", "--password-stdin")
		enter(first)
	})
	t.Run("RFC 8265 §4.2 a password of one keyboard is good on another", func(t *testing.T) {
		const nfc, nfd = "\u00e9t\u00e9 \u00e0 la plage", "e\u0301te\u0301 a\u0300 la plage"
		d.must(t, nfd+"\n", "user", "set-password", "ada", "--password-stdin")
		enter(nfc)
		enter(nfd)
		require.Equal(t, 400, login(t, p, "ada", "ete a la plage").status)
	})
	t.Run("a scope that does not exist is refused, and a user who can do nothing is warned of", func(t *testing.T) {
		for _, scope := range []string{"order:read", "orders:read nope", "order:*", "grantor:admin"} {
			out, code := d.command(t, first+"\n", "user", "add", "bob", "--password-stdin", "--scope", scope)
			require.Equal(t, 2, code, out)
			require.Contains(t, out, "--scope")
		}
		require.NotContains(t, d.must(t, first+"\n", "user", "add", "bob", "--password-stdin"), "warning")
		bare := withUsers(t, redisStore(s), "[users]\nsource = \"redis\"\n")
		require.Contains(t, bare.must(t, first+"\n", "user", "add", "eve", "--password-stdin"), "warning: the user has no scope")
		require.NotContains(t, bare.must(t, first+"\n", "user", "add", "lin", "--password-stdin", "--scope", "orders:*"), "warning")
	})
	t.Run("exit codes: 2 for a wrong call, and on the memory store, saying why", func(t *testing.T) {
		for _, args := range [][]string{{"user"}, {"user", "list", "x"}, {"user", "sessions"}, {"user", "logout", "ada"}, {"nonsense"}} {
			out, code := d.command(t, "", args...)
			require.Equal(t, 2, code, "%v: %s", args, out)
		}
		m := withUsers(t, memoryStore, configUsers())
		out, code := m.command(t, "", "user", "sessions", "ada")
		require.Equal(t, 2, code)
		require.Contains(t, out, "store = \"redis\"")
	})
}

func TestPasswordClients(t *testing.T) {
	d := withUsers(t, memoryStore, configUsers())
	p := d.serve(t)
	t.Run("golang.org/x/oauth2 logs in and refreshes by itself", func(t *testing.T) {
		cfg := oauth2.Config{ClientID: "app", Scopes: []string{"orders:read"}, Endpoint: oauth2.Endpoint{TokenURL: p.URL + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams}}
		tok, err := cfg.PasswordCredentialsToken(t.Context(), "ada", adaPassword)
		require.NoError(t, err)
		require.NotEmpty(t, tok.RefreshToken)
		stale := *tok
		stale.Expiry = time.Now().Add(-time.Minute)
		next, err := cfg.TokenSource(t.Context(), &stale).Token()
		require.NoError(t, err)
		require.NotEqual(t, tok.AccessToken, next.AccessToken)
		require.NotEqual(t, tok.RefreshToken, next.RefreshToken)
		require.Equal(t, true, d.introspect(t, p, next.AccessToken).json["active"])
		_, err = cfg.PasswordCredentialsToken(t.Context(), "ada", "wrong")
		var re *oauth2.RetrieveError
		require.ErrorAs(t, err, &re)
		require.Equal(t, "invalid_grant", re.ErrorCode)
	})
	t.Run("requests-oauthlib (Python) logs in and refreshes", func(t *testing.T) {
		python(t, "requests_oauthlib", `
import os, sys
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
from oauthlib.oauth2 import LegacyApplicationClient, InvalidGrantError
from requests_oauthlib import OAuth2Session
url, password = sys.argv[1] + "/oauth2/token", sys.argv[2]
s = OAuth2Session(client=LegacyApplicationClient(client_id="app", scope=["orders:read"]))
t = s.fetch_token(token_url=url, username="ada", password=password, include_client_id=True)
assert t["refresh_token"].startswith("grt_"), t
n = s.refresh_token(url, client_id="app")
assert n["refresh_token"] != t["refresh_token"] and n["access_token"] != t["access_token"], n
try:
    s.fetch_token(token_url=url, username="ada", password="wrong", include_client_id=True)
    raise SystemExit("a wrong password was accepted")
except InvalidGrantError:
    pass
`, p.URL, adaPassword)
	})
}

func TestPasswordsDoNotStarveMachines(t *testing.T) {
	t.Run("S-16 S-17 200 logins at once: answered or 503 within a second or so, machines go on", func(t *testing.T) {
		d := withUsers(t, memoryStore+"limits.password_failures = -1\nlimits.password_failures_per_address = -1\n", configUsers())
		p := d.serve(t)
		var wg sync.WaitGroup
		var busy, done atomic.Int32
		var slowest atomic.Int64
		for range 200 {
			wg.Go(func() {
				begun := time.Now()
				r := login(t, p, "ada", adaPassword)
				switch r.status {
				case 200:
					done.Add(1)
				case 503:
					busy.Add(1)
					if r.header.Get("Retry-After") == "" {
						t.Error("503 without Retry-After")
					}
				default:
					t.Errorf("status %d", r.status)
				}
				for took := int64(time.Since(begun)); ; {
					old := slowest.Load()
					if took <= old || slowest.CompareAndSwap(old, took) {
						return
					}
				}
			})
		}
		for range 20 {
			require.Equal(t, 200, post(t, p.URL+"/oauth2/token", "machine", d.machine, clientCredentials).status)
		}
		wg.Wait()
		require.Positive(t, done.Load())
		t.Logf("%d logged in, %d busy, slowest %s", done.Load(), busy.Load(), time.Duration(slowest.Load()))
	})
}
