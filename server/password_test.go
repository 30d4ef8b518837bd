package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// people is a directory that a test can change.
type people struct {
	mu   sync.Mutex
	list []users.ConfigUser
	users.Authenticator
	slots *users.Slots
}

const adaPassword = "correct horse battery staple"

// adaHash is a cheap hash of adaPassword, made once: tests prove rules, not costs.
var adaHash = sync.OnceValue(func() string { h, _ := users.Hash(adaPassword); return h })

func newPeople(t *testing.T) *people {
	t.Helper()
	p := &people{slots: users.NewSlots(0), list: []users.ConfigUser{
		{ID: "u-1", Username: "ada", PasswordHash: adaHash(), Scope: scopeRules("orders:read orders:write invoices:read plain")},
		{ID: "u-2", Username: "bob", PasswordHash: adaHash(), Disabled: true},
		{ID: "u-3", Username: "eve", PasswordHash: adaHash(), Scope: scopeRules("orders:read")},
		{ID: "u-4", Username: "nil", PasswordHash: adaHash()},
	}}
	p.change(t, func([]users.ConfigUser) {})
	return p
}

func scopeRules(text string) *scopes.Rules { r := rules(text); return &r }

func (p *people) change(t *testing.T, f func([]users.ConfigUser)) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.list)
	dir, err := users.NewConfigDirectory(p.list)
	require.NoError(t, err)
	p.Authenticator = users.NewHashing(dir, p.slots)
}

// startPeople serves a fixture with users and three clients that log them in.
func startPeople(t *testing.T, change ...func(*Config)) (*fixture, *people) {
	t.Helper()
	p := newPeople(t)
	f := start(t, append([]func(*Config){func(c *Config) {
		c.Users = p
		c.Lockout = lockout.New(lockout.NewMemory(), 5, 100, time.Minute)
	}}, change...)...)
	both := []string{clients.GrantPassword, clients.GrantRefreshToken}
	f.clients = append(f.clients,
		&clients.Client{Registration: clients.Registration{ID: "mobile", Method: clients.MethodNone, Grants: both}, Scope: rules("orders:* invoices:read plain"), DefaultScope: scopes.MustParse("orders:write")},
		&clients.Client{Registration: clients.Registration{ID: "web", Secrets: secrets("s"), Grants: both}, Scope: rules("orders:* plain grantor:admin"), DefaultScope: scopes.MustParse("orders:read")},
		&clients.Client{Registration: clients.Registration{ID: "kiosk", Secrets: secrets("s"), Grants: []string{clients.GrantPassword}}, Scope: rules("orders:*"), DefaultScope: scopes.MustParse("orders:read")},
		&clients.Client{Registration: clients.Registration{ID: "strict", Method: clients.MethodNone, Grants: both}, Scope: rules("orders:*"), DefaultScope: scopes.MustParse("orders:read"), RetryWindow: -1},
	)
	f.reload(t)
	return f, p
}

// reload takes changed registrations into use.
func (f *fixture) reload(t *testing.T) {
	t.Helper()
	f.server.cfg.Clients = f.keptFresh()
}

func (f *fixture) clientNamed(id string) *clients.Client {
	i := slices.IndexFunc(f.clients, func(c *clients.Client) bool { return c.ID == id })
	return f.clients[i]
}

func (f *fixture) keptFresh() keptFresh {
	return keptFresh{func() []*clients.Client { return f.clients }, f.store}
}

// keptFresh confirms a registry before each use, so that tests need no goroutine for it.
type keptFresh struct {
	list   func() []*clients.Client
	epochs clients.EpochSource
}

func (k keptFresh) Get(ctx contextT, id string) (*clients.Client, error) {
	fresh, err := clients.NewConfigured(ctx, k.list(), k.epochs)
	if err != nil {
		return nil, err
	}
	return fresh.Get(ctx, id)
}

func (f *fixture) login(t *testing.T, more string) reply {
	t.Helper()
	return f.post(t, tokP, "", "grant_type=password&client_id=mobile&username=ada&password="+url.QueryEscape(adaPassword)+more)
}

func (f *fixture) loggedIn(t *testing.T, more string) (access, refresh string) {
	t.Helper()
	r := f.login(t, more)
	require.Equal(t, 200, r.status, r.body)
	return r.text("access_token"), r.text("refresh_token")
}

func (f *fixture) refresh(t *testing.T, token string, more ...string) reply {
	t.Helper()
	return f.post(t, tokP, "", "grant_type=refresh_token&client_id=mobile&refresh_token="+token+strings.Join(more, ""))
}

func TestPasswordGrant(t *testing.T) {
	f, p := startPeople(t)
	password := func(basic, form string) reply { return f.post(t, tokP, basic, "grant_type=password&"+form) }
	good := "username=ada&password=" + url.QueryEscape(adaPassword)
	t.Run("PW-01 §4.3.2 the request of the RFC, public and confidential", func(t *testing.T) {
		require.Equal(t, 200, f.login(t, "").status)
		require.Equal(t, 200, password("web:s", good).status)
	})
	t.Run("PW-02 §4.3.3 a refresh token only for clients with that grant", func(t *testing.T) {
		require.NotEmpty(t, password("web:s", good).text("refresh_token"))
		r := password("kiosk:s", good)
		require.Equal(t, 200, r.status)
		require.NotContains(t, r.json, "refresh_token")
		require.Equal(t, true, f.inspect(t, r.text("access_token")).json["active"])
	})
	t.Run("PW-03 ER-03 §5.2 a wrong password or unknown user is 400 invalid_grant", func(t *testing.T) {
		refused(t, password("web:s", "username=ada&password=wrong"), 400, codeInvalidGrant)
		refused(t, password("web:s", "username=nobody&password=wrong"), 400, codeInvalidGrant)
	})
	t.Run("PW-04 S-03 S-05 unknown, wrong, disabled and locked look the same, unknown names lock alike", func(t *testing.T) {
		want := password("web:s", "username=eve&password=wrong")
		same := func(got reply, what string) {
			require.Equal(t, want.status, got.status, what)
			require.Equal(t, want.body, got.body, what)
			for _, h := range []string{"Date", "X-Request-Id"} {
				got.header.Del(h)
				want.header.Del(h)
			}
			require.Equal(t, want.header, got.header, what)
		}
		same(password("web:s", "username=nobody2&password=wrong"), "unknown")
		same(password("web:s", "username=bob&password="+url.QueryEscape(adaPassword)), "disabled")
		for _, name := range []string{"eve", "nobody3"} {
			for range 5 {
				password("web:s", "username="+name+"&password=wrong")
			}
			checks := p.slots.PasswordChecks()
			same(password("web:s", "username="+name+"&password="+url.QueryEscape(adaPassword)), name+" locked")
			require.Equal(t, checks, p.slots.PasswordChecks(), "S-11 no hash is computed for the locked")
		}
		require.Contains(t, f.log.String(), `"reason":"user_locked"`)
		require.Contains(t, f.log.String(), `"reason":"unknown_user"`)
		require.Contains(t, f.log.String(), `"reason":"user_disabled"`)
		require.NotContains(t, f.log.String(), adaPassword)
	})
	t.Run("PW-05 §4.3.2 username and password are required", func(t *testing.T) {
		refused(t, password("web:s", "username=ada"), 400, codeInvalidRequest)
		refused(t, password("web:s", "password=x"), 400, codeInvalidRequest)
	})
	t.Run("PW-06 S-04 §4.3.2 the client is authenticated before the password is looked at", func(t *testing.T) {
		checks := p.slots.PasswordChecks()
		right := password("web:wrong", good)
		wrong := password("web:wrong", "username=ada&password=wrong")
		refused(t, right, 401, codeInvalidClient)
		require.Equal(t, right.body, wrong.body)
		require.Equal(t, checks, p.slots.PasswordChecks())
	})
	t.Run("PW-08 bounds: long names and passwords and NUL are refused", func(t *testing.T) {
		for _, form := range []string{"username=ada&password=" + strings.Repeat("p", 20_000), "username=" + strings.Repeat("n", 300) + "&password=x",
			"username=a%00b&password=x", "username=ada&password=a%00b"} {
			refused(t, password("web:s", form), 400, codeInvalidRequest)
		}
	})
	t.Run("PW-09 V-08 RFC 9700 §2.4 a client without the grant is refused, by any method", func(t *testing.T) {
		for _, basic := range []string{"app:app-secret", "gateway:rs"} {
			refused(t, password(basic, good), 400, codeUnauthorizedClient)
		}
		refused(t, password("", good+"&client_id=public"), 400, codeUnauthorizedClient)
	})
	t.Run("CC-05 IN-22 RFC 7662 §2.2 the token names the user by the immutable id and says that it is a user", func(t *testing.T) {
		access, _ := f.loggedIn(t, "")
		r := f.inspect(t, access)
		require.Equal(t, "u-1", r.text("sub"))
		require.Equal(t, "user", r.text("sub_type"))
		require.Equal(t, "ada", r.text("username"))
		require.Equal(t, "mobile", r.text("client_id"))
	})
	t.Run("a user gets no more than the user may have, and never power over Grantor", func(t *testing.T) {
		f.server.cfg.Lockout = nil
		form := "password=" + url.QueryEscape(adaPassword) + "&username="
		require.Equal(t, "orders:read", f.post(t, tokP, "", "grant_type=password&client_id=mobile&"+form+"eve").text("scope"))
		refused(t, f.post(t, tokP, "", "grant_type=password&client_id=mobile&"+form+"nil"), 400, codeInvalidScope)
		refused(t, password("web:s", form+"ada&scope=grantor:admin"), 400, codeInvalidScope)
	})
	t.Run("S-67 the demo user logs in on loopback only, and is refused like a wrong password", func(t *testing.T) {
		f.server.cfg.DemoUsers = map[string]bool{"u-1": true}
		require.Equal(t, 200, password("web:s", good).status)
		want := password("web:s", "username=ada&password=wrong")
		for _, h := range []string{"X-Forwarded-For: 10.0.0.1", "Host: auth.example.com"} {
			r := f.post(t, tokP, "web:s", "grant_type=password&"+good, h)
			refused(t, r, 400, codeInvalidGrant)
			require.Equal(t, want.body, r.body)
		}
		f.server.cfg.DemoUsers = nil
	})
	t.Run("MD-06 the metadata lists the grants that are served", func(t *testing.T) {
		r := f.call(t, "GET", "/.well-known/oauth-authorization-server", "")
		require.Equal(t, []any{"client_credentials", "password", "refresh_token"}, r.json["grant_types_supported"])
	})
}

func TestGuessing(t *testing.T) {
	t.Run("PW-07 S-11 V-10 V-12 locked at the fifth failure; a refresh in between resets nothing", func(t *testing.T) {
		f, _ := startPeople(t)
		_, refresh := f.loggedIn(t, "")
		f.server.cfg.Lockout = lockout.New(lockout.NewMemory(), 5, 100, time.Minute) // forget the known address
		wrong := func() { f.post(t, tokP, "", "grant_type=password&client_id=mobile&username=ada&password=wrong") }
		for range 4 {
			wrong()
		}
		require.Equal(t, 200, f.refresh(t, refresh).status)
		wrong()
		refused(t, f.login(t, ""), 400, codeInvalidGrant)
	})
	t.Run("V-11 fifty wrong passwords at one moment: at most five reach the hash", func(t *testing.T) {
		f, p := startPeople(t)
		before := p.slots.PasswordChecks()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				r := f.post(t, tokP, "", "grant_type=password&client_id=mobile&username=ada&password=wrong")
				if r.status == http.StatusServiceUnavailable { // one of the five, on a machine whose slots are busy (S-16)
					refused(t, r, http.StatusServiceUnavailable, codeUnavailable)
					return
				}
				refused(t, r, 400, codeInvalidGrant)
			})
		}
		wg.Wait()
		require.LessOrEqual(t, p.slots.PasswordChecks()-before, uint64(5))
	})
	t.Run("S-13 spraying from one address is 429 with Retry-After", func(t *testing.T) {
		f, _ := startPeople(t, func(c *Config) { c.Lockout = lockout.New(lockout.NewMemory(), 5, 3, time.Minute) })
		for i := range 4 {
			r := f.post(t, tokP, "", "grant_type=password&client_id=mobile&username=u"+string(rune('0'+i))+"&password=wrong")
			if i < 3 {
				refused(t, r, 400, codeInvalidGrant)
				continue
			}
			refused(t, r, http.StatusTooManyRequests, codeInvalidGrant)
			require.NotEmpty(t, r.header.Get("Retry-After"))
		}
	})
	t.Run("S-15 strangers' guesses do not shut the owner out", func(t *testing.T) {
		f, _ := startPeople(t, func(c *Config) { c.TrustedProxies = []string{"127.0.0.1"} })
		home := "X-Forwarded-For: 192.0.2.1"
		form := "grant_type=password&client_id=mobile&username=ada&password="
		require.Equal(t, 200, f.post(t, tokP, "", form+url.QueryEscape(adaPassword), home).status)
		for range 8 {
			f.post(t, tokP, "", form+"wrong", "X-Forwarded-For: 198.51.100.9")
		}
		refused(t, f.post(t, tokP, "", form+url.QueryEscape(adaPassword), "X-Forwarded-For: 198.51.100.9"), 400, codeInvalidGrant)
		require.Equal(t, 200, f.post(t, tokP, "", form+url.QueryEscape(adaPassword), home).status)
	})
	t.Run("S-14 the counter's store away: no login, 503; machines go on", func(t *testing.T) {
		f, _ := startPeople(t, func(c *Config) { c.Lockout = lockout.New(brokenCounter{}, 5, 100, time.Minute) })
		refused(t, f.login(t, ""), 503, codeUnavailable)
		require.Equal(t, 200, f.post(t, tokP, app, ask).status)
	})
}

type brokenCounter struct{ lockout.Counter }

func (brokenCounter) Hold(contextT, lockout.Subject, lockout.EntryID, int, time.Duration) (lockout.Hold, error) {
	return lockout.Hold{}, errStoreGone
}

func TestRefresh(t *testing.T) {
	t.Run("RT-01 RT-02 RT-11 TR-02 §6 a new pair, by the rules of §5.1", func(t *testing.T) {
		f, _ := startPeople(t)
		_, r0 := f.loggedIn(t, "")
		r := f.refresh(t, r0)
		require.Equal(t, 200, r.status, r.body)
		require.NotEqual(t, r0, r.text("refresh_token"))
		require.Equal(t, "no-store", r.header.Get("Cache-Control"))
		require.InDelta(t, 900, r.json["expires_in"], 1)
		require.Equal(t, true, f.inspect(t, r.text("access_token")).json["active"])
	})
	t.Run("RT-03 RT-04 §6 narrowing is honoured, and the next refresh has the original scope", func(t *testing.T) {
		f, _ := startPeople(t)
		_, r0 := f.loggedIn(t, "")
		r := f.refresh(t, r0, "&scope=orders:read")
		require.Equal(t, "orders:read", r.text("scope"))
		require.Equal(t, "orders:read", f.inspect(t, r.text("access_token")).text("scope"))
		require.Equal(t, "orders:read orders:write", f.refresh(t, r.text("refresh_token")).text("scope"))
	})
	t.Run("RT-05 SB-06 S-47 §6 never a scope outside the grant; the refusal burns nothing", func(t *testing.T) {
		f, _ := startPeople(t)
		_, r0 := f.loggedIn(t, "&scope=orders:read")
		for _, s := range []string{"orders:write", "invoices:read", "orders:read+plain", "nope", "a%22b"} {
			refused(t, f.refresh(t, r0, "&scope="+s), 400, codeInvalidScope)
		}
		require.Equal(t, 200, f.refresh(t, r0).status)
	})
	t.Run("RI-05 RFC 8707 §2.2 a refresh may only narrow the resources", func(t *testing.T) {
		f, _ := startPeople(t)
		_, r0 := f.loggedIn(t, "&scope=orders:read+invoices:read&resource="+ordersResource)
		refused(t, f.refresh(t, r0, "&resource="+invoicesResource), 400, codeInvalidTarget)
		require.Equal(t, 200, f.refresh(t, r0).status)
	})
	t.Run("RT-06 CA-06 V-04 §6 confidential clients authenticate", func(t *testing.T) {
		f, _ := startPeople(t)
		r0 := f.post(t, tokP, "web:s", "grant_type=password&username=ada&password="+url.QueryEscape(adaPassword)).text("refresh_token")
		body := "grant_type=refresh_token&refresh_token=" + r0
		refused(t, f.post(t, tokP, "", body), 401, codeInvalidClient)
		refused(t, f.post(t, tokP, "", body+"&client_id=web"), 401, codeInvalidClient)
		refused(t, f.post(t, tokP, "web:wrong", body), 401, codeInvalidClient)
		require.Equal(t, 200, f.post(t, tokP, "web:s", body).status)
	})
	t.Run("RT-07 RT-08 V-05 §6 bound to its client, and a stranger's try burns nothing", func(t *testing.T) {
		f, _ := startPeople(t)
		_, r0 := f.loggedIn(t, "")
		refused(t, f.post(t, tokP, "web:s", "grant_type=refresh_token&refresh_token="+r0), 400, codeInvalidGrant)
		refused(t, f.post(t, tokP, app, "grant_type=refresh_token&refresh_token="+r0), 400, codeUnauthorizedClient)
		require.Equal(t, 200, f.refresh(t, r0).status)
	})
	t.Run("RT-09 S-48 §1.5 an access token is no refresh token", func(t *testing.T) {
		f, _ := startPeople(t)
		access, _ := f.loggedIn(t, "")
		refused(t, f.refresh(t, access), 400, codeInvalidGrant)
	})
	t.Run("RT-10 §5.2 unknown is invalid_grant, absent is invalid_request; a mangled one has no effect", func(t *testing.T) {
		f, _ := startPeople(t)
		_, r0 := f.loggedIn(t, "")
		refused(t, f.refresh(t, "nonsense"), 400, codeInvalidGrant)
		refused(t, f.refresh(t, ""), 400, codeInvalidRequest)
		for _, mangled := range []string{r0[:len(r0)-1], r0 + "0", "grt_1" + r0[5:], r0[:50] + "0000" + r0[54:], "gat_" + r0[4:]} {
			refused(t, f.refresh(t, mangled), 400, codeInvalidGrant)
		}
		require.Equal(t, 200, f.refresh(t, r0).status)
	})
	t.Run("RT-12 RT-13 RT-14 RFC 9700 §4.14.2 reuse ends the session and its access tokens", func(t *testing.T) {
		f, _ := startPeople(t)
		a0, r0 := f.loggedIn(t, "")
		first := f.refresh(t, r0)
		second := f.refresh(t, first.text("refresh_token"))
		refused(t, f.refresh(t, r0), 400, codeInvalidGrant)
		refused(t, f.refresh(t, second.text("refresh_token")), 400, codeInvalidGrant)
		for _, a := range []string{a0, first.text("access_token"), second.text("access_token")} {
			require.Equal(t, dead, f.inspect(t, a).body)
		}
		require.Contains(t, f.log.String(), "refresh_token_reused")
	})
	t.Run("RT-15 §3.2.1 a public client names itself", func(t *testing.T) {
		f, _ := startPeople(t)
		_, r0 := f.loggedIn(t, "")
		refused(t, f.post(t, tokP, "", "grant_type=refresh_token&refresh_token="+r0), 401, codeInvalidClient)
		require.Equal(t, 200, f.refresh(t, r0).status)
	})
	t.Run("RT-19 V-03 a lost answer: the retry gets the same pair and goes on", func(t *testing.T) {
		f, _ := startPeople(t)
		_, r0 := f.loggedIn(t, "")
		first := f.refresh(t, r0)
		again := f.refresh(t, r0)
		require.Equal(t, first.text("access_token"), again.text("access_token"))
		require.Equal(t, first.text("refresh_token"), again.text("refresh_token"))
		require.Equal(t, first.text("scope"), again.text("scope"))
		require.Equal(t, 200, f.refresh(t, again.text("refresh_token")).status)
	})
	t.Run("RT-19 a retry with another scope gets it, and the same refresh token", func(t *testing.T) {
		f, _ := startPeople(t)
		_, r0 := f.loggedIn(t, "")
		first := f.refresh(t, r0)
		again := f.refresh(t, r0, "&scope=orders:read")
		require.Equal(t, "orders:read", again.text("scope"))
		require.Equal(t, first.text("refresh_token"), again.text("refresh_token"))
		require.NotEqual(t, first.text("access_token"), again.text("access_token"))
	})
	t.Run("RT-12 a client with retry_window 0s is strict from the start", func(t *testing.T) {
		f, _ := startPeople(t)
		body := "grant_type=password&client_id=strict&username=ada&password=" + url.QueryEscape(adaPassword)
		r0 := f.post(t, tokP, "", body).text("refresh_token")
		use := func() reply {
			return f.post(t, tokP, "", "grant_type=refresh_token&client_id=strict&refresh_token="+r0)
		}
		require.Equal(t, 200, use().status)
		refused(t, use(), 400, codeInvalidGrant)
	})
	t.Run("RT-17 ASVS 10.4.8 idle and absolute expiry", func(t *testing.T) {
		for name, life := range map[string]func(*clients.Client){
			"idle":     func(c *clients.Client) { c.RefreshTTL = clients.Duration(time.Second) },
			"absolute": func(c *clients.Client) { c.MaxTTL = clients.Duration(time.Second) },
		} {
			f, _ := startPeople(t)
			life(f.clientNamed("mobile"))
			f.reload(t)
			_, r0 := f.loggedIn(t, "")
			time.Sleep(1100 * time.Millisecond) // the store's own clock decides
			refused(t, f.refresh(t, r0), 400, codeInvalidGrant)
			require.Regexp(t, "session_(gone|expired)", f.log.String(), name)
		}
	})
	for name, c := range map[string]struct {
		change func(*testing.T, *fixture, *people)
		status int
		code   string
	}{
		"RT-18 PW-10 V-09 the user is disabled": {func(t *testing.T, _ *fixture, p *people) {
			p.change(t, func(l []users.ConfigUser) { l[0].Disabled = true })
		}, 400, codeInvalidGrant},
		"RT-18 SB-08 the password changed": {func(t *testing.T, _ *fixture, p *people) {
			h, err := users.Hash("another")
			require.NoError(t, err)
			p.change(t, func(l []users.ConfigUser) { l[0].PasswordHash = h })
		}, 400, codeInvalidGrant},
		"RT-18 V-09 the client is disabled": {func(t *testing.T, f *fixture, _ *people) {
			f.clientNamed("mobile").Disabled = true
			f.reload(t)
		}, 401, codeInvalidClient},
		"RT-18 the grant was taken from the client": {func(t *testing.T, f *fixture, _ *people) {
			f.clientNamed("mobile").Grants = nil
			f.reload(t)
		}, 400, codeUnauthorizedClient},
		"RT-18 every scope was taken from the client": {func(t *testing.T, f *fixture, _ *people) {
			f.clientNamed("mobile").Scope = rules("plain")
			f.reload(t)
		}, 400, codeInvalidScope},
	} {
		t.Run(name+": the refresh fails", func(t *testing.T) {
			f, p := startPeople(t)
			access, r0 := f.loggedIn(t, "")
			c.change(t, f, p)
			refused(t, f.refresh(t, r0), c.status, c.code)
			require.Equal(t, dead, f.inspect(t, access).body, "and the access token is dead with it")
		})
	}
	t.Run("RT-18 one of two scopes was taken: narrower, never the old scope", func(t *testing.T) {
		f, _ := startPeople(t)
		_, r0 := f.loggedIn(t, "")
		f.clientNamed("mobile").Scope, f.clientNamed("mobile").DefaultScope = rules("orders:read"), scopes.Set{}
		f.reload(t)
		require.Equal(t, "orders:read", f.refresh(t, r0).text("scope"))
	})
	t.Run("RT-19 a directory that cannot say ends nothing", func(t *testing.T) {
		f, p := startPeople(t)
		_, r0 := f.loggedIn(t, "")
		whole := p.Authenticator
		p.Authenticator = awayDirectory{whole}
		refused(t, f.refresh(t, r0), 503, codeUnavailable)
		p.Authenticator = whole
		require.Equal(t, 200, f.refresh(t, r0).status)
	})
}

func TestRefreshAfterDirectory(t *testing.T) {
	t.Run("RT-19 a directory that is away for longer than the retry window ends no session of who lost an answer before", func(t *testing.T) {
		f, p := startPeople(t)
		f.clientNamed("mobile").RetryWindow = 2 * time.Second
		f.reload(t)
		_, r0 := f.loggedIn(t, "")
		require.Equal(t, 200, f.refresh(t, r0).status, "an answer that was lost")
		whole := p.Authenticator
		p.Authenticator = awayDirectory{whole}
		for begun := time.Now(); time.Since(begun) < 2500*time.Millisecond; time.Sleep(100 * time.Millisecond) {
			refused(t, f.refresh(t, r0), 503, codeUnavailable)
		}
		p.Authenticator = whole
		r := f.refresh(t, r0)
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, r.text("refresh_token"), f.refresh(t, r0).text("refresh_token"), "from here on it is the one answer")
		require.Equal(t, 200, f.refresh(t, r.text("refresh_token")).status)
	})
}

type awayDirectory struct{ users.Authenticator }

func (awayDirectory) Recheck(contextT, string) (*users.User, error) {
	return nil, users.ErrUnavailable
}

func TestRefreshRace(t *testing.T) {
	t.Run("RT-16 V-01 S-53 32 uses at once, 8 rounds: all get one and the same pair, no 5xx", func(t *testing.T) {
		f, _ := startPeople(t)
		_, now := f.loggedIn(t, "")
		for range 8 {
			var mu sync.Mutex
			pairs := map[[2]string]int{}
			var wg sync.WaitGroup
			for range 32 {
				wg.Go(func() {
					r := f.refresh(t, now)
					mu.Lock()
					defer mu.Unlock()
					pairs[[2]string{r.text("access_token"), r.text("refresh_token")}]++
				})
			}
			wg.Wait()
			require.Len(t, pairs, 1)
			for pair := range pairs {
				now = pair[1]
			}
		}
		require.Equal(t, 200, f.refresh(t, now).status)
	})
}

func TestUserTokens(t *testing.T) {
	f, _ := startPeople(t)
	t.Run("IN-21 V-28 RFC 7662 §4 a refresh token is shown to its own client alone", func(t *testing.T) {
		r := f.post(t, tokP, "web:s", "grant_type=password&username=ada&password="+url.QueryEscape(adaPassword))
		for _, basic := range []string{"gateway:rs", "orders-api:rs", "stranger:rs"} {
			require.Equal(t, dead, f.post(t, intP, basic, "token="+r.text("refresh_token")).body)
		}
		require.Equal(t, true, f.post(t, intP, "web:s", "token="+r.text("refresh_token")).json["active"])
		f.post(t, tokP, "web:s", "grant_type=refresh_token&refresh_token="+r.text("refresh_token"))
		require.Equal(t, dead, f.post(t, intP, "web:s", "token="+r.text("refresh_token")).body, "nor an old one")
	})
	t.Run("RV-10 RV-11 RV-15 RFC 7009 §2.1 revoking the refresh token ends the access tokens", func(t *testing.T) {
		access, r0 := f.loggedIn(t, "")
		require.Equal(t, 200, f.post(t, revP, "", "client_id=mobile&token="+r0).status)
		require.Equal(t, dead, f.inspect(t, access).body)
		refused(t, f.refresh(t, r0), 400, codeInvalidGrant)
	})
	t.Run("RV-12 V-27 RFC 7009 §2.1 revoking the access token leaves the refresh token alive", func(t *testing.T) {
		access, r0 := f.loggedIn(t, "")
		require.Equal(t, 200, f.post(t, revP, "", "client_id=mobile&token="+access).status)
		require.Equal(t, dead, f.inspect(t, access).body)
		require.Equal(t, 200, f.refresh(t, r0).status)
	})
	t.Run("RV-13 revoking an already rotated refresh token ends its successors", func(t *testing.T) {
		_, r0 := f.loggedIn(t, "")
		next := f.refresh(t, r0).text("refresh_token")
		require.Equal(t, 200, f.post(t, revP, "", "client_id=mobile&token="+r0).status)
		refused(t, f.refresh(t, next), 400, codeInvalidGrant)
	})
	t.Run("RV-16 V-26 a public client cannot revoke another's", func(t *testing.T) {
		access, _ := f.loggedIn(t, "")
		require.Equal(t, 200, f.post(t, revP, "", "client_id=strict&token="+access).status)
		require.Equal(t, true, f.inspect(t, access).json["active"])
	})
	t.Run("PW-10 IN-24 ending a user ends all of it at once", func(t *testing.T) {
		access, r0 := f.loggedIn(t, "")
		require.NoError(t, f.store.EndUser(t.Context(), f.server.codec.Tag("u-1")))
		require.Equal(t, dead, f.inspect(t, access).body)
		refused(t, f.refresh(t, r0), 400, codeInvalidGrant)
	})
	t.Run("IN-24 V-07 not_before ends sessions too", func(t *testing.T) {
		_, r0 := f.loggedIn(t, "")
		f.server.cfg.NotBefore = time.Now().Add(time.Hour)
		refused(t, f.refresh(t, r0), 400, codeInvalidGrant)
		f.server.cfg.NotBefore = time.Time{}
	})
}

func TestBox(t *testing.T) {
	t.Run("a box is opened by the token itself and by nothing that Redis holds", func(t *testing.T) {
		codec := tokens.NewCodec(tokens.NewServerKey())
		text, tok := codec.NewRefresh(tokens.Tag{}, tokens.SessionID{}, 0)
		box, err := codec.SealRetryResponse(text, append(make([]byte, tokens.RetryResponseHead), "answer"...))
		require.NoError(t, err)
		plain, err := codec.OpenRetryResponse(text, box)
		require.NoError(t, err)
		require.Equal(t, "answer", string(plain))
		for _, other := range []string{"", text + "x", string(tok.Hash[:])} {
			_, err := codec.OpenRetryResponse(other, box)
			require.ErrorIs(t, err, tokens.ErrRetryResponse)
		}
	})
}
