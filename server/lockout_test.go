package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/users"
)

// loginAs logs a user in by name and password.
func (f *fixture) loginAs(t *testing.T, name, password string, headers ...string) reply {
	t.Helper()
	return f.post(t, tokP, "", "grant_type=password&client_id=mobile&username="+url.QueryEscape(name)+"&password="+url.QueryEscape(password), headers...)
}

// trail records what a server tells; end it before it is read.
func trail(t *testing.T, c *Config) (end func() string) {
	t.Helper()
	var out bytes.Buffer
	sink := audit.NewWriter(&out)
	close := sync.OnceFunc(sink.Close)
	t.Cleanup(close)
	c.Audit = audit.New(sink, c.Log, nil)
	return func() string { close(); return out.String() }
}

func TestRightPasswordsAtOneMoment(t *testing.T) {
	for name, c := range map[string]struct{ logins, perUser, perAddress int }{
		"V-03 S-11 of one user":      {24, 5, 100},
		"V-03 S-13 from one address": {60, -1, 20},
	} {
		t.Run(name+": none is told that it is wrong", func(t *testing.T) {
			var read func() string
			f, _ := startPeople(t, func(cfg *Config) {
				cfg.Lockout = lockout.New(lockout.NewMemory(), c.perUser, c.perAddress, time.Minute)
				read = trail(t, cfg)
			})
			for range 2 {
				var good atomic.Int64
				var all sync.WaitGroup
				for range c.logins {
					all.Go(func() {
						r := f.login(t, "")
						if r.status == http.StatusServiceUnavailable { // a machine so busy that lockout.MaxWait was not enough
							refused(t, r, 503, codeUnavailable)
							require.NotEmpty(t, r.header.Get("Retry-After"))
							return
						}
						require.Equal(t, 200, r.status, r.body)
						good.Add(1)
					})
				}
				all.Wait()
				require.Positive(t, good.Load())
			}
			require.NotContains(t, read(), audit.UserLockedOut)
		})
	}
}

func TestLogInsThatNeverEnd(t *testing.T) {
	t.Parallel()
	t.Run("S-20 too many under way for too long is 503 with Retry-After, and says nothing of the password", func(t *testing.T) {
		f, _ := startPeople(t, func(c *Config) {
			c.Lockout = lockout.New(busyCounter{Counter: lockout.NewMemory()}, 5, 100, time.Minute)
		})
		r := f.login(t, "")
		refused(t, r, 503, codeUnavailable)
		require.NotEmpty(t, r.header.Get("Retry-After"))
		require.Contains(t, f.log.String(), `"reason":"logins_underway"`)
	})
}

// busyCounter always has too many attempts under way.
type busyCounter struct{ lockout.Counter }

func (busyCounter) Hold(contextT, lockout.Subject, lockout.EntryID, int, time.Duration) (lockout.Hold, error) {
	return lockout.Hold{Result: lockout.Busy}, nil
}

// counted is a directory that counts how often it is asked.
type counted struct {
	users.Directory
	asked atomic.Int64
}

func (c *counted) Find(ctx contextT, name string) (*users.User, error) {
	c.asked.Add(1)
	return c.Directory.Find(ctx, name)
}

func TestLocked(t *testing.T) {
	t.Run("S-13 a locked address asks no directory and hashes nothing", func(t *testing.T) {
		static, err := users.NewConfigDirectory([]users.ConfigUser{{ID: "u-1", Username: "ada", PasswordHash: adaHash()}})
		require.NoError(t, err)
		dir := &counted{Directory: static}
		slots := users.NewSlots(1)
		f, _ := startPeople(t, func(c *Config) {
			c.Users = users.NewHashing(dir, slots)
			c.Lockout = lockout.New(lockout.NewMemory(), 5, 3, time.Minute)
		})
		for i := range 20 {
			r := f.loginAs(t, fmt.Sprint("user-", i), "wrong")
			require.Equal(t, i >= 3, r.status == http.StatusTooManyRequests)
		}
		require.EqualValues(t, 3, dir.asked.Load())
		require.EqualValues(t, 3, slots.PasswordChecks())
	})
	t.Run("S-11 the log names a locked user by the id that commands take, the trail by the keyed hash; nothing of the password", func(t *testing.T) {
		var read func() string
		f, p := startPeople(t, func(c *Config) { read = trail(t, c) })
		for range 5 {
			f.loginAs(t, "ada", "wrong-s3cr3t")
		}
		require.NotContains(t, f.log.String(), `"sub"`)
		refused(t, f.login(t, ""), 400, codeInvalidGrant)
		require.Contains(t, f.log.String(), `"reason":"user_locked","sub":"u-1"`)
		f.loginAs(t, "nobody", "wrong-s3cr3t")
		hash, err := users.Hash(adaPassword)
		require.NoError(t, err)
		p.change(t, func(list []users.ConfigUser) { list[0].PasswordHash = hash })
		require.Equal(t, 200, f.login(t, "").status, "a new password has no failures")
		require.NotContains(t, f.log.String(), "s3cr3t")
		lines := read()
		require.NotContains(t, lines, `"u-1"`)
		for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
			var e audit.Event
			require.NoError(t, json.Unmarshal([]byte(line), &e))
			if e.Event == audit.UserLockedOut {
				require.Equal(t, f.server.codec.Tag("u-1").String(), e.Subject)
			}
		}
		require.Contains(t, lines, audit.UserLockedOut)
	})
}

// application is a program that answers for its users itself. It trims and folds names, as many do.
type application struct {
	asked   atomic.Int64
	sub     bool // its 401 says whose name it was
	answer  atomic.Pointer[string]
	aliases map[string]string
}

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct{ Username, Password, Sub string }
	_ = json.NewDecoder(r.Body).Decode(&q)
	sub := a.aliases[strings.ToLower(strings.TrimSpace(q.Username))]
	if q.Sub == "" {
		a.asked.Add(1)
	}
	if custom := a.answer.Load(); custom != nil {
		_, _ = io.WriteString(w, *custom)
		return
	}
	switch {
	case q.Sub == "u-1" || sub != "" && q.Password == adaPassword:
		_, _ = io.WriteString(w, `{"sub":"u-1","scope":"orders:read"}`)
	case a.sub && sub != "":
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprintf(w, `{"sub":%q}`, sub)
	default:
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// startApplication serves a fixture whose users are an application's.
func startApplication(t *testing.T, a *application) *fixture {
	t.Helper()
	if a.aliases == nil {
		a.aliases = map[string]string{"ada": "u-1", "ada@example.com": "u-1", "a.lovelace": "u-1", "+44 20": "u-1", "4711": "u-1", "countess": "u-1", "eve": "u-3"}
	}
	app := httptest.NewServer(a)
	t.Cleanup(app.Close)
	auth, err := users.NewHTTP(users.HTTPConfig{URL: app.URL, Secret: strings.Repeat("s", users.MinHTTPSecret)})
	require.NoError(t, err)
	f, _ := startPeople(t, func(c *Config) { c.Users = auth })
	return f
}

func TestNamesOfAnApplication(t *testing.T) {
	t.Run("S-11 no spelling of a name is another budget", func(t *testing.T) {
		a := &application{}
		f := startApplication(t, a)
		for _, name := range []string{"ada", " ada", "ada ", "\tada", "ada\t", "ada\u00a0", "\u3000ada", "ADA", "Ada", "\uff21\uff24\uff21", "\u00e1da", "a\u0301da", "ad\u200ba", "a\u00adda", "a da", "aDA"} {
			for range 2 {
				require.Equal(t, 400, f.loginAs(t, name, "wrong").status)
			}
		}
		require.LessOrEqual(t, a.asked.Load(), int64(5))
		refused(t, f.loginAs(t, "ada", adaPassword), 400, codeInvalidGrant)
	})
	t.Run("S-03 a name with blanks around it is invalid_request, whether there is such a user or not", func(t *testing.T) {
		f := startApplication(t, &application{})
		want := f.loginAs(t, "ada ", adaPassword)
		refused(t, want, 400, codeInvalidRequest)
		require.Contains(t, want.text("error_description"), "username")
		require.Equal(t, want.body, f.loginAs(t, "nobody ", "wrong").body)
	})
	t.Run("S-11 the application's word whose name it was: five failures lock the user under every name", func(t *testing.T) {
		a := &application{sub: true}
		f := startApplication(t, a)
		for _, name := range []string{"ada", "ada@example.com", "a.lovelace", "+44 20", "4711"} {
			refused(t, f.loginAs(t, name, "wrong"), 400, codeInvalidGrant)
		}
		want := f.loginAs(t, "eve", "wrong")
		got := f.loginAs(t, "countess", adaPassword)
		require.Equal(t, want.body, got.body, "locked looks like wrong")
		require.Contains(t, f.log.String(), `"reason":"user_locked","sub":"u-1"`)
	})
	t.Run("S-11 of a name that the application once gave an owner no guess is compared while the owner is locked", func(t *testing.T) {
		a := &application{sub: true}
		f := startApplication(t, a)
		names := []string{"ada", "ada@example.com", "a.lovelace"}
		for range 20 {
			for _, name := range names {
				refused(t, f.loginAs(t, name, "wrong"), 400, codeInvalidGrant)
			}
		}
		require.LessOrEqual(t, a.asked.Load(), int64(5))
		refused(t, f.loginAs(t, "countess", "wrong"), 400, codeInvalidGrant)
		asked := a.asked.Load()
		for range 5 {
			refused(t, f.loginAs(t, "countess", "wrong"), 400, codeInvalidGrant)
		}
		require.Equal(t, asked, a.asked.Load())
	})
	t.Run("S-02 a name that is nobody's costs the counters what a user's does", func(t *testing.T) {
		f := startApplication(t, &application{sub: true})
		counter := &tally{Counter: lockout.NewMemory()}
		f.server.cfg.Lockout = lockout.New(counter, 5, 100, time.Minute)
		cost := func(name string) int64 {
			before := counter.calls.Load()
			refused(t, f.loginAs(t, name, "wrong"), 400, codeInvalidGrant)
			return counter.calls.Load() - before
		}
		for range 5 {
			require.Equal(t, cost("nobody"), cost("ada"))
		}
		require.Equal(t, cost("somebody"), cost("a.lovelace"), "locked under another name")
	})
	t.Run("a success under one name forgets the failures of the user", func(t *testing.T) {
		f := startApplication(t, &application{sub: true})
		for range 3 {
			for _, name := range []string{"ada@example.com", "ada"} {
				require.Equal(t, 400, f.loginAs(t, name, "wrong").status)
				require.Equal(t, 400, f.loginAs(t, name, "wrong").status)
			}
			require.Equal(t, 200, f.loginAs(t, "ada", adaPassword).status)
			require.Equal(t, 200, f.loginAs(t, "ada@example.com", adaPassword).status)
		}
	})
}

// tally counts what a counter is asked.
type tally struct {
	lockout.Counter
	calls atomic.Int64
}

func (c *tally) Hold(ctx contextT, s lockout.Subject, e lockout.EntryID, limit int, d time.Duration) (lockout.Hold, error) {
	c.calls.Add(1)
	return c.Counter.Hold(ctx, s, e, limit, d)
}

func (c *tally) Keep(ctx contextT, s lockout.Subject, e lockout.EntryID, d time.Duration) error {
	c.calls.Add(1)
	return c.Counter.Keep(ctx, s, e, d)
}

func (c *tally) Release(ctx contextT, s lockout.Subject, e lockout.EntryID) error {
	c.calls.Add(1)
	return c.Counter.Release(ctx, s, e)
}

func (c *tally) Kept(ctx contextT, s lockout.Subject) (int, error) {
	c.calls.Add(1)
	return c.Counter.Kept(ctx, s)
}

func TestHangingDirectoryLeavesRoom(t *testing.T) {
	t.Run("S-20 requests that wait for the directory take half of the token endpoint's places, logins a quarter, and machines go on", func(t *testing.T) {
		hang := make(chan struct{})
		p := newPeople(t)
		f, _ := startPeople(t, func(c *Config) { c.Users = p })
		_, token := f.loggedIn(t, "")
		f.server.overload.maximum = 64 // the token endpoint has 32 of them
		inner := p.Authenticator
		p.Authenticator = hanging{inner, hang}
		var waiting, full atomic.Int64
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				switch r := f.refresh(t, token); r.status {
				case 200:
					waiting.Add(1)
				default:
					refused(t, r, 503, codeUnavailable)
					require.NotEmpty(t, r.header.Get("Retry-After"))
					full.Add(1)
				}
			})
		}
		require.Eventually(t, func() bool { return full.Load() == 84 }, 10*time.Second, time.Millisecond)
		for range 50 {
			require.Equal(t, 200, f.post(t, tokP, app, ask).status)
		}
		require.Contains(t, f.log.String(), `"reason":"directory_busy"`)
		var logins sync.WaitGroup
		var good, bad atomic.Int64
		f.server.cfg.Lockout = nil
		for range 20 {
			logins.Go(func() {
				if r := f.login(t, ""); r.status == 200 {
					good.Add(1)
				} else {
					refused(t, r, 503, codeUnavailable)
					bad.Add(1)
				}
			})
		}
		require.Eventually(t, func() bool { return bad.Load() >= 12 }, 10*time.Second, time.Millisecond, "logins have a bound of their own")
		require.Equal(t, 200, f.post(t, tokP, app, ask).status)
		close(hang)
		logins.Wait()
		require.LessOrEqual(t, good.Load(), int64(8))
		require.EqualValues(t, 20, good.Load()+bad.Load())
		all.Wait()
		require.EqualValues(t, 16, waiting.Load(), "who waited is answered")
		p.Authenticator = inner
		require.Equal(t, 200, f.login(t, "").status)
		require.Zero(t, f.server.overload.refreshes.Load()+f.server.overload.logins.all)
	})
}

// hanging is a directory that answers when it is let go.
type hanging struct {
	users.Authenticator
	until chan struct{}
}

func (h hanging) Recheck(ctx contextT, id string) (*users.User, error) {
	<-h.until
	return h.Authenticator.Recheck(ctx, id)
}
