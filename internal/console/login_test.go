package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLogin(t *testing.T) {
	d := opened(t, "")
	t.Run("S-91 a link logs in once", func(t *testing.T) {
		code := d.link()
		one, two := d.browser(), d.browser()
		require.Equal(t, http.StatusSeeOther, one.login(code).StatusCode)
		require.Equal(t, http.StatusOK, one.get("/console/").StatusCode)
		p := two.login(code)
		require.Equal(t, http.StatusForbidden, p.StatusCode)
		require.Contains(t, p.body, "used already")
		require.Equal(t, http.StatusUnauthorized, two.get("/console/").StatusCode)
		d.wrote("console_login", "", "by a link", "console (ada)")
	})
	t.Run("S-91 of 16 at one moment one is logged in", func(t *testing.T) {
		code, in := d.link(), 0
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 16 {
			b := d.browser()
			form := b.form("csrf", b.token("/console/login"), "code", code)
			all.Go(func() {
				if b.do(http.MethodPost, "/console/login", form).StatusCode == http.StatusSeeOther {
					mu.Lock()
					in++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, in)
	})
	t.Run("S-91 a whole link can be pasted; a wrong code and none are refused", func(t *testing.T) {
		require.Equal(t, http.StatusSeeOther, d.browser().login(d.at+"/console/login#"+d.link()).StatusCode)
		for _, code := range []string{"", "x", strings.Repeat("a", 52)} {
			require.Equal(t, http.StatusForbidden, d.browser().login(code).StatusCode)
		}
	})
	t.Run("S-91 a link ends after a minute, and Redis has its hash alone", func(t *testing.T) {
		code := d.link()
		keys, err := d.redis.Client().Keys(t.Context(), "grantor:console:link:*").Result()
		require.NoError(t, err)
		require.Len(t, keys, 1)
		require.NotContains(t, keys[0], code)
		left, err := d.redis.Client().PTTL(t.Context(), keys[0]).Result()
		require.NoError(t, err)
		require.InDelta(t, 60, left.Seconds(), 5)
		require.NoError(t, d.redis.Client().PExpire(t.Context(), keys[0], time.Millisecond).Err())
		require.Eventually(t, func() bool { return d.redis.Client().Exists(t.Context(), keys[0]).Val() == 0 }, 5*time.Second, time.Millisecond)
		require.Equal(t, http.StatusForbidden, d.browser().login(code).StatusCode)
	})
	t.Run("S-91 a GET of the link spends nothing", func(t *testing.T) {
		code := d.link()
		d.browser().get("/console/login?code=" + code)
		require.Equal(t, http.StatusSeeOther, d.browser().login(code).StatusCode)
	})
	t.Run("S-90 the login form is of one browser", func(t *testing.T) {
		code := d.link()
		one, two := d.browser(), d.browser()
		form := one.form("csrf", one.token("/console/login"), "code", code)
		two.get("/console/login")
		require.Equal(t, http.StatusForbidden, two.do(http.MethodPost, "/console/login", form).StatusCode)
		require.Equal(t, http.StatusSeeOther, one.do(http.MethodPost, "/console/login", form).StatusCode, "the link was not spent")
	})
	t.Run("S-91 no code and no cookie is in the log or the trail", func(t *testing.T) {
		code := d.link()
		b := d.browser()
		b.login(code)
		b.get("/console/clients")
		u, err := url.Parse(d.at + "/console/")
		require.NoError(t, err)
		cookies := b.client.Jar.Cookies(u)
		require.NotEmpty(t, cookies)
		for _, secret := range []string{code, cookies[0].Value} {
			require.NotContains(t, d.log.String(), secret)
		}
	})
}

func TestSession(t *testing.T) {
	d := opened(t, "")
	t.Run("S-92 the cookie is of the console alone, and no script reads it", func(t *testing.T) {
		p := d.browser().login(d.link())
		cookie := p.Header["Set-Cookie"]
		found := ""
		for _, c := range cookie {
			if strings.HasPrefix(c, "grantor-console=") {
				found = c
			}
		}
		require.Contains(t, found, "; Path=/console/; HttpOnly; SameSite=Strict")
		require.NotContains(t, found, "Expires", "it ends with the browser")
	})
	t.Run("S-92 a planted cookie is not taken over", func(t *testing.T) {
		b := d.browser()
		u, err := url.Parse(d.at + "/console/")
		require.NoError(t, err)
		b.client.Jar.SetCookies(u, []*http.Cookie{{Name: "grantor-console", Value: "planted", Path: "/console/"}})
		require.Equal(t, http.StatusUnauthorized, b.get("/console/").StatusCode)
		require.Equal(t, http.StatusSeeOther, b.login(d.link()).StatusCode)
		for _, c := range b.client.Jar.Cookies(u) {
			require.NotEqual(t, "planted", c.Value)
		}
		attacker := d.browser()
		attacker.client.Jar.SetCookies(u, []*http.Cookie{{Name: "grantor-console", Value: "planted", Path: "/console/"}})
		require.Equal(t, http.StatusUnauthorized, attacker.get("/console/").StatusCode)
	})
	t.Run("S-92 two cookies of the name are none", func(t *testing.T) {
		u, err := url.Parse(d.at + "/console/")
		require.NoError(t, err)
		own := d.loggedIn().client.Jar.Cookies(u)
		require.Len(t, own, 1)
		b := d.browser()
		b.header.Set("Cookie", own[0].String())
		require.Equal(t, http.StatusOK, b.get("/console/").StatusCode)
		for _, both := range []string{own[0].String() + "; grantor-console=planted", "grantor-console=planted; " + own[0].String()} {
			b = d.browser()
			b.header.Set("Cookie", both)
			require.Equal(t, http.StatusUnauthorized, b.get("/console/").StatusCode)
		}
	})
	t.Run("S-92 logging in again ends the session from before", func(t *testing.T) {
		b := d.loggedIn()
		u, err := url.Parse(d.at + "/console/")
		require.NoError(t, err)
		old := d.browser()
		old.client.Jar.SetCookies(u, b.client.Jar.Cookies(u))
		require.Equal(t, http.StatusOK, old.get("/console/").StatusCode)
		stale := b.token("/console/token")
		fresh := d.browser() // the login page leads who is logged in to the overview
		token := fresh.token("/console/login")
		b.client.Jar.SetCookies(u, fresh.client.Jar.Cookies(u))
		require.Equal(t, http.StatusSeeOther, b.do(http.MethodPost, "/console/login", b.form("csrf", token, "code", d.link())).StatusCode)
		require.NotEqual(t, stale, b.token("/console/token"))
		require.Equal(t, http.StatusUnauthorized, old.get("/console/").StatusCode)
	})
	t.Run("S-92 logging out ends it on all nodes", func(t *testing.T) {
		b := d.loggedIn()
		second, _ := d.node("")
		first := b.at
		u, err := url.Parse(second + "/console/")
		require.NoError(t, err)
		one, err := url.Parse(first + "/console/")
		require.NoError(t, err)
		elsewhere := d.browser()
		elsewhere.client.Jar.SetCookies(u, b.client.Jar.Cookies(one))
		other := &browser{&desk{t: t, at: second}, elsewhere.client, http.Header{}}
		require.Equal(t, http.StatusOK, other.get("/console/").StatusCode, "any node knows the session")
		require.Contains(t, b.post("/console/logout").body, "Logged out")
		require.Equal(t, http.StatusUnauthorized, other.get("/console/").StatusCode)
		d.wrote("console_logout", "", "", "console (ada)")
	})
	t.Run("S-92 it ends unused, and what pages ask for by themselves is no use", func(t *testing.T) {
		b := d.loggedIn()
		keys, err := d.redis.Client().Keys(t.Context(), "grantor:console:session:*").Result()
		require.NoError(t, err)
		left := func() (most time.Duration) {
			for _, k := range keys {
				most = max(most, d.redis.Client().PTTL(t.Context(), k).Val())
			}
			return most
		}
		for _, k := range keys {
			require.NoError(t, d.redis.Client().PExpire(t.Context(), k, time.Minute).Err())
		}
		b.header.Set("X-Console-Poll", "1")
		require.Equal(t, http.StatusOK, b.get("/console/events").StatusCode)
		require.LessOrEqual(t, left(), time.Minute)
		b.header.Del("X-Console-Poll")
		require.Equal(t, http.StatusOK, b.get("/console/events").StatusCode)
		require.Greater(t, left(), 29*time.Minute)
	})
	t.Run("S-92 it ends at its time, however often it is used", func(t *testing.T) {
		short := opened(t, "idle_timeout = \"1m\"\nmax_session = \"1m\"\n")
		b := short.loggedIn()
		keys, err := short.redis.Client().Keys(t.Context(), "grantor:console:session:*").Result()
		require.NoError(t, err)
		value, err := short.redis.Client().Get(t.Context(), keys[0]).Result()
		require.NoError(t, err)
		_, text, _ := strings.Cut(value, " ")
		require.NoError(t, short.redis.Client().Set(t.Context(), keys[0], "1000 "+text, time.Hour).Err())
		require.Equal(t, http.StatusUnauthorized, b.get("/console/").StatusCode)
		require.Zero(t, short.redis.Client().Exists(t.Context(), keys[0]).Val())
	})
}

func TestProxyLogin(t *testing.T) {
	d := opened(t, "user_header = \"X-Forwarded-User\"\nproxies = [\"127.0.0.1\"]\n")
	as := func(who ...string) *browser {
		b := d.browser()
		b.header["X-Forwarded-User"] = who
		return b
	}
	t.Run("S-94 a proxy logs in, and the trail has the name", func(t *testing.T) {
		b := as("ada@example.com")
		require.Equal(t, http.StatusOK, b.get("/console/clients").StatusCode)
		d.wrote("console_login", "", "by a proxy", "console (ada@example.com)")
		require.Equal(t, http.StatusOK, b.make("by-proxy", "").StatusCode)
		d.wrote("client_changed", "by-proxy", "created", "console (ada@example.com)")
	})
	t.Run("S-94 a session is of one name", func(t *testing.T) {
		b := as("ada@example.com")
		token := b.token("/console/token")
		b.header["X-Forwarded-User"] = []string{"grace@example.com"}
		require.Equal(t, http.StatusUnauthorized, b.do(http.MethodPost, "/console/token", b.form("csrf", token, "token", "x")).StatusCode)
		delete(b.header, "X-Forwarded-User")
		require.Equal(t, http.StatusUnauthorized, b.get("/console/").StatusCode)
	})
	t.Run("S-94 two names, none, and a name that hides another", func(t *testing.T) {
		for _, who := range [][]string{{"ada", "grace"}, {""}, {"ada) by (grace"}, {strings.Repeat("a", 129)}, {"ada, grace"}, {"ад"}} {
			require.Equal(t, http.StatusForbidden, as(who...).get("/console/").StatusCode, who)
		}
	})
	t.Run("S-94 another peer says nothing", func(t *testing.T) {
		other := opened(t, "user_header = \"X-Forwarded-User\"\nproxies = [\"192.0.2.1\"]\n")
		b := other.browser()
		b.header.Set("X-Forwarded-User", "ada")
		require.Equal(t, http.StatusForbidden, b.get("/console/").StatusCode)
		b.header.Del("X-Forwarded-User")
		require.Equal(t, http.StatusUnauthorized, b.get("/console/").StatusCode)
	})
	t.Run("S-94 without user_header nobody reads the header", func(t *testing.T) {
		plain := opened(t, "")
		b := plain.browser()
		b.header.Set("X-Forwarded-User", "ada")
		require.Equal(t, http.StatusUnauthorized, b.get("/console/").StatusCode)
	})
}
