package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// everyPage are the pages of who is logged in.
var everyPage = []string{"/console/", "/console/clients", "/console/clients/new", "/console/client?id=hostile", "/console/users",
	"/console/scopes", "/console/keys", "/console/events", "/console/token"}

func TestForgery(t *testing.T) {
	d := opened(t, "")
	b := d.loggedIn()
	b.make("victim", "Victim")
	token := b.token("/console/token")
	disable := func(csrf string) page {
		return b.do(http.MethodPost, "/console/client", b.form("csrf", csrf, "id", "victim", "do", "disable", "confirm", "victim"))
	}
	enabled := func(t *testing.T) {
		t.Helper()
		require.NotContains(t, b.get("/console/client?id=victim").body, `<span class="tag bad">disabled</span>`)
	}
	t.Run("S-90 no token, and that of another session", func(t *testing.T) {
		other := d.loggedIn().token("/console/token")
		for _, csrf := range []string{"", "x", other, token + "x"} {
			require.Equal(t, http.StatusForbidden, disable(csrf).StatusCode, csrf)
		}
		enabled(t)
	})
	t.Run("S-90 a form of another origin, also of another port of this host", func(t *testing.T) {
		for name, value := range map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"} {
			b.header.Set(name, value)
			require.Equal(t, http.StatusForbidden, disable(token).StatusCode, name)
			b.header.Del(name)
		}
		for _, header := range [][2]string{{"Sec-Fetch-Site", "same-site"}, {"Origin", "http://127.0.0.1:8080"}, {"Origin", "null"}} {
			b.header.Set(header[0], header[1])
			require.Equal(t, http.StatusForbidden, disable(token).StatusCode, header)
			b.header.Del(header[0])
		}
		enabled(t)
	})
	t.Run("S-90 a body that a page can send without a form", func(t *testing.T) {
		b.header.Set("Content-Type", "text/plain")
		require.Equal(t, http.StatusForbidden, disable(token).StatusCode)
		b.header.Del("Content-Type")
		enabled(t)
	})
	t.Run("S-90 a GET changes nothing", func(t *testing.T) {
		b.get("/console/client?id=victim&do=disable&confirm=victim&csrf=" + token)
		enabled(t)
	})
	t.Run("S-90 without the name nothing ends", func(t *testing.T) {
		for _, do := range []string{"disable", "revoke", "delete", "secret", "key"} {
			p := b.do(http.MethodPost, "/console/client", b.form("csrf", token, "id", "victim", "do", do, "confirm", "victi"))
			require.Equal(t, http.StatusBadRequest, p.StatusCode, do)
			require.Contains(t, p.body, "type the name")
		}
		enabled(t)
		require.Equal(t, http.StatusSeeOther, disable(token).StatusCode, "the check above can fail")
		require.Contains(t, b.get("/console/client?id=victim").body, `<span class="tag bad">disabled</span>`)
		d.wrote("client_changed", "victim", "disabled", "console (ada)")
	})
	t.Run("S-90 without a session no page and no form", func(t *testing.T) {
		nobody := d.browser()
		for _, path := range everyPage {
			p := nobody.get(path)
			require.Equal(t, http.StatusUnauthorized, p.StatusCode, path)
			require.NotContains(t, p.body, "victim")
		}
		require.Equal(t, http.StatusUnauthorized, nobody.do(http.MethodPost, "/console/client", b.form("csrf", token, "id", "victim", "do", "enable")).StatusCode)
	})
}

func TestPageHeaders(t *testing.T) {
	d := opened(t, "")
	b := d.loggedIn()
	b.make("hostile", `"><script>alert(1)</script><img src=x onerror=alert(2)>{{.}}${7*7}`)
	for _, path := range append(everyPage, "/console/login", "/console/none") {
		t.Run("S-93 "+path+" runs no script of others, and cannot be framed", func(t *testing.T) {
			p := b.get(path)
			policy := p.Header.Get("Content-Security-Policy")
			require.Contains(t, policy, "default-src 'none'")
			require.Contains(t, policy, "frame-ancestors 'none'")
			require.NotContains(t, policy, "unsafe")
			require.Equal(t, []string{"DENY", "nosniff", "same-origin", "no-store"}, []string{p.Header.Get("X-Frame-Options"),
				p.Header.Get("X-Content-Type-Options"), p.Header.Get("Referrer-Policy"), p.Header.Get("Cache-Control")})
			require.NotContains(t, p.body, "<script>")
			require.NotContains(t, p.body, "<img src=x")
			require.NotContains(t, p.body, " style=")
			require.NotContains(t, p.body, "onerror=alert(2)>")
		})
	}
	t.Run("S-93 the hostile name is shown as it is", func(t *testing.T) {
		require.Contains(t, b.get("/console/clients?search=hostile").body, "&lt;script&gt;alert(1)&lt;/script&gt;")
	})
	t.Run("S-93 a hostile search and a hostile note are texts", func(t *testing.T) {
		require.NotContains(t, b.get("/console/clients?search=%3Cscript%3E").body, "<script>")
		require.NotContains(t, b.get("/console/clients?done=%3Cscript%3E").body, "script%3E")
	})
	t.Run("S-66 another Host is refused (DNS rebinding)", func(t *testing.T) {
		b.header.Set("Host", "rebound.example")
		require.Equal(t, http.StatusMisdirectedRequest, b.get("/console/").StatusCode)
		b.header.Del("Host")
	})
	t.Run("S-66 the public listener has no console", func(t *testing.T) {
		public := &browser{&desk{t: t, at: d.public}, b.client, http.Header{}}
		require.Equal(t, http.StatusNotFound, public.get("/console/").StatusCode)
	})
	t.Run("S-66 without enabled = true there is no console", func(t *testing.T) {
		off := opened(t, "enabled = false\n")
		require.Equal(t, http.StatusNotFound, off.browser().get("/console/").StatusCode)
	})
}

func TestSecretsOfPages(t *testing.T) {
	d := opened(t, "")
	b := d.loggedIn()
	p := b.make("job", "Nightly job")
	secret := shownSecret.FindString(p.body)
	require.NotEmpty(t, secret)
	require.Equal(t, "no-store", p.Header.Get("Cache-Control"))
	t.Run("S-91 the answer to the form shows the secret, and no other page", func(t *testing.T) {
		for _, path := range []string{"/console/client?id=job", "/console/clients", "/console/events", "/console/"} {
			require.NotContains(t, b.get(path).body, secret)
		}
		require.NotContains(t, d.log.String(), secret)
		require.NotContains(t, strings.Join(p.Header["Set-Cookie"], ""), secret)
	})
	t.Run("S-91 a page that is loaded again makes no other secret", func(t *testing.T) {
		again := b.post("/console/clients/new", "form", "once-job", "client_id", "another", "kind", "machine", "scope", "orders:read")
		require.Equal(t, http.StatusConflict, again.StatusCode)
		require.Equal(t, http.StatusNotFound, b.get("/console/client?id=another").StatusCode)
	})
	t.Run("S-91 rotate with overlap, then both work", func(t *testing.T) {
		rotated := b.post("/console/client", "id", "job", "do", "rotate", "form", "rotate-1", "overlap", "24h")
		fresh := shownSecret.FindString(rotated.body)
		require.NotEmpty(t, fresh, rotated.body)
		for _, one := range []string{secret, fresh} {
			require.Equal(t, http.StatusOK, d.issue(t, "job", one).status)
		}
		d.wrote("client_changed", "job", "secret rotated", "console (ada)")
		now := b.post("/console/client", "id", "job", "do", "rotate", "form", "rotate-2", "overlap", "0s", "confirm", "job")
		require.NotEmpty(t, shownSecret.FindString(now.body), now.body)
		require.Equal(t, http.StatusUnauthorized, d.issue(t, "job", fresh).status)
	})
	t.Run("S-91 a token that is checked is in no answer, log or address", func(t *testing.T) {
		b.make("asked", "")
		made := shownSecret.FindString(b.post("/console/client", "id", "asked", "do", "rotate", "form", "rotate-3", "overlap", "1h").body)
		token := d.issue(t, "asked", made).token
		shown := b.post("/console/token", "token", token)
		require.Equal(t, http.StatusOK, shown.StatusCode)
		require.Contains(t, shown.body, `<span class="tag good">active</span>`)
		require.NotContains(t, shown.body, token[4:])
		require.NotContains(t, d.log.String(), token[4:])
	})
}
