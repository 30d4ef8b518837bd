package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/users"
)

// user adds a user to the directory, and returns the sub.
func (d *desk) user(name, password string) string {
	d.t.Helper()
	cfg := config.Default()
	cfg.Redis.URL = config.SecretText(d.redis.URL)
	db, err := parts.Redis(cfg.Redis, d.log.logger())
	require.NoError(d.t, err)
	defer db.Close()
	hash, err := users.Hash(password)
	require.NoError(d.t, err)
	u, err := users.NewRedis(db).Add(d.t.Context(), users.NewUser{Username: name, PasswordHash: hash})
	require.NoError(d.t, err)
	return u.ID
}

func TestClients(t *testing.T) {
	d := opened(t, "")
	b := d.loggedIn()
	t.Run("nobody is there but who is in the configuration", func(t *testing.T) {
		p := b.get("/console/clients")
		require.Contains(t, p.body, `href="/console/client?id=configured"`)
		shown := b.get("/console/client?id=configured").body
		require.Contains(t, shown, "in the configuration file")
		require.NotContains(t, shown, "Delete the client")
	})
	t.Run("each kind is created, and shown with lines to paste", func(t *testing.T) {
		machine := b.make("m", "Nightly")
		require.Contains(t, machine.body, `-d grant_type=client_credentials`)
		require.Contains(t, machine.body, `clientcredentials.Config`)
		api := b.post("/console/clients/new", "form", "f1", "client_id", "a", "kind", "api", "resource", "https://stock.example.com")
		require.Contains(t, api.body, "https://auth.example.com/oauth2/introspect")
		app := b.post("/console/clients/new", "form", "f2", "client_id", "p", "kind", "app", "scope", "orders:read", "default_scope", "orders:read")
		require.Contains(t, app.body, "This client has no secret.")
	})
	t.Run("a refusal of the admin API is shown above the form, which keeps what was typed", func(t *testing.T) {
		p := b.post("/console/clients/new", "form", "f3", "client_id", "x", "name", "Typed", "kind", "machine", "scope", "orders:raed")
		require.Equal(t, http.StatusBadRequest, p.StatusCode)
		require.Contains(t, p.body, "is not in [scopes]")
		require.Contains(t, p.body, `value="Typed"`)
	})
	t.Run("no power over Grantor is given here", func(t *testing.T) {
		p := b.post("/console/clients/new", "form", "f4", "client_id", "x", "kind", "machine", "scope", "grantor:admin")
		require.Equal(t, http.StatusBadRequest, p.StatusCode)
		require.Equal(t, http.StatusNotFound, b.get("/console/client?id=x").StatusCode)
	})
	t.Run("lifetimes and scopes change, and an empty field is the server's again", func(t *testing.T) {
		set := func(ttl string) {
			p := b.post("/console/client", "id", "m", "do", "settings", "client_name", "Nightly", "scope", "orders:write", "default_scope", "", "access_ttl", ttl)
			require.Equal(t, http.StatusSeeOther, p.StatusCode, p.body)
		}
		set("5m")
		shown := b.get("/console/client?id=m&done=changed").body
		require.Contains(t, shown, `name="access_ttl" value="5m"`)
		require.Contains(t, shown, "The change is in force.")
		require.Contains(t, shown, "<code>orders:read</code>", "what orders:write implies")
		set("")
		require.Contains(t, b.get("/console/client?id=m").body, `name="access_ttl" value=""`)
		d.wrote("client_changed", "m", "changed", "console (ada)")
	})
	t.Run("revoke, then delete", func(t *testing.T) {
		require.Equal(t, http.StatusSeeOther, b.post("/console/client", "id", "m", "do", "revoke", "confirm", "m").StatusCode)
		require.Equal(t, http.StatusSeeOther, b.post("/console/client", "id", "m", "do", "delete", "confirm", "m").StatusCode)
		require.Equal(t, http.StatusNotFound, b.get("/console/client?id=m").StatusCode)
		d.wrote("client_changed", "m", "deleted", "console (ada)")
	})
}

func TestUsers(t *testing.T) {
	d := opened(t, "")
	b := d.loggedIn()
	sub := d.user("grace", "correct horse battery")
	b.post("/console/clients/new", "form", "f1", "client_id", "app", "kind", "app", "scope", "orders:read", "default_scope", "orders:read")
	login := func(password string) int {
		return d.ask(t, "app", "", url.Values{"grant_type": {"password"}, "username": {"grace"}, "password": {password},
			"device_name": {`Phone"><script>alert(1)</script>`}}).status
	}
	at := "/console/user?" + url.Values{"sub": {sub}}.Encode()
	t.Run("S-93 a session with a hostile name of its device, found by name and by sub", func(t *testing.T) {
		require.Equal(t, http.StatusOK, login("correct horse battery"))
		require.Contains(t, b.get("/console/users?search=grace").body, "sub="+sub)
		require.Equal(t, "/console/user?sub="+sub, b.get("/console/users?sub="+sub).Header.Get("Location"))
		shown := b.get(at).body
		require.Contains(t, shown, "&lt;script&gt;")
		require.NotContains(t, shown, "<script>")
		require.Contains(t, shown, "127.0.0.0/24", "the place")
	})
	t.Run("S-90 a session ends with the name alone", func(t *testing.T) {
		id := regexp.MustCompile(`name="session" value="([^"]+)"`).FindStringSubmatch(b.get(at).body)
		require.NotNil(t, id)
		require.Equal(t, http.StatusBadRequest, b.post("/console/user", "sub", sub, "do", "session", "session", id[1]).StatusCode)
		require.Equal(t, http.StatusSeeOther, b.post("/console/user", "sub", sub, "do", "session", "session", id[1], "confirm", "grace").StatusCode)
		require.Contains(t, b.get(at).body, "logged in nowhere")
	})
	t.Run("S-12 a locked user is shown and unlocked", func(t *testing.T) {
		for range 6 {
			login("wrong")
		}
		require.Contains(t, b.get("/console/users").body, "sub="+sub)
		require.Contains(t, b.get(at).body, `<span class="tag bad">locked</span>`)
		require.NotEqual(t, http.StatusOK, login("correct horse battery"))
		require.Equal(t, http.StatusSeeOther, b.post("/console/user", "sub", sub, "do", "unlock").StatusCode)
		require.Equal(t, http.StatusOK, login("correct horse battery"))
	})
	t.Run("another password ends the old one and all sessions", func(t *testing.T) {
		p := b.post("/console/user", "sub", sub, "do", "password", "password", "staple battery horse", "confirm", "grace")
		require.Equal(t, http.StatusSeeOther, p.StatusCode, p.body)
		require.NotEqual(t, http.StatusOK, login("correct horse battery"))
		require.Equal(t, http.StatusOK, login("staple battery horse"))
		require.NotContains(t, d.log.String(), "staple battery")
	})
	t.Run("disable, with the name, and enable", func(t *testing.T) {
		require.Equal(t, http.StatusBadRequest, b.post("/console/user", "sub", sub, "do", "disable").StatusCode)
		require.Equal(t, http.StatusSeeOther, b.post("/console/user", "sub", sub, "do", "disable", "confirm", "grace").StatusCode)
		require.NotEqual(t, http.StatusOK, login("staple battery horse"))
		require.Equal(t, http.StatusSeeOther, b.post("/console/user", "sub", sub, "do", "enable").StatusCode)
		require.Equal(t, http.StatusOK, login("staple battery horse"))
	})
	t.Run("nobody has the name", func(t *testing.T) {
		require.Contains(t, b.get("/console/users?search=nobody").body, "Nobody has the name")
	})
}

func TestKeysAndScopes(t *testing.T) {
	d := opened(t, "")
	b := d.loggedIn()
	kids := func() [][]string {
		return regexp.MustCompile(`<code>([A-Za-z0-9_-]{43})</code>`).FindAllStringSubmatch(b.get("/console/keys").body, -1)
	}
	t.Run("the schedule is a picture and a table", func(t *testing.T) {
		require.Len(t, kids(), 2)
		require.Contains(t, b.get("/console/keys").body, `<svg class="timeline"`)
	})
	t.Run("withdrawn keys are no more, with the word alone, and the trail has who asked", func(t *testing.T) {
		before := kids()
		require.Equal(t, http.StatusBadRequest, b.post("/console/keys", "do", "withdraw", "confirm", "rotate").StatusCode)
		require.Equal(t, before, kids())
		require.Equal(t, "/console/keys?done=withdrawn", b.post("/console/keys", "do", "withdraw", "confirm", "withdraw").Header.Get("Location"))
		for _, k := range kids() {
			require.NotContains(t, before, k)
		}
		d.wrote("keys_rotated", "", "asked for: the present keys are withdrawn", "console (ada)")
	})
	t.Run("a rotation", func(t *testing.T) {
		require.Equal(t, "/console/keys?done=rotated", b.post("/console/keys", "do", "rotate", "confirm", "rotate").Header.Get("Location"))
		require.Equal(t, "/console/keys?done=not-rotated", b.post("/console/keys", "do", "rotate", "confirm", "rotate").Header.Get("Location"))
	})
	t.Run("who may have a scope, who reads it, what it implies", func(t *testing.T) {
		b.make("job", "")
		body := b.get("/console/scopes").body
		card := regexp.MustCompile(`(?s)<section class="card scope" aria-label="orders:read">.*?</section>`).FindString(body)
		require.Contains(t, card, "May have it (1)")
		require.Contains(t, card, "Read by (1)")
		require.Contains(t, card, `<a href="/console/client?id=configured">`)
		require.NotContains(t, body, "no client can introspect it")
	})
}

func TestEvents(t *testing.T) {
	d := opened(t, "")
	b := d.loggedIn()
	secret := shownSecret.FindString(b.make("job", "").body)
	d.issue(t, "job", secret)
	d.issue(t, "job", "wrong")
	rows := func(query string) int {
		return len(regexp.MustCompile(`<tr>\s+<td><time`).FindAllString(b.get("/console/events"+query).body, -1))
	}
	d.wrote("token_refused", "job", "", "")
	require.Eventually(t, func() bool { return rows("") >= 4 }, waitFor, tick)
	require.Equal(t, 1, rows("?reason=wrong_secret"))
	require.Equal(t, 3, rows("?client=job"))
	require.Equal(t, 1, rows("?event=token_issued"))
	require.Equal(t, 0, rows("?client=nobody"))
	require.Equal(t, 2, rows("?actor=console+(ada)"))
}

func TestOverview(t *testing.T) {
	d := opened(t, "")
	b := d.loggedIn()
	require.Eventually(t, func() bool {
		return regexp.MustCompile(`this node</span>`).MatchString(b.get("/console/").body)
	}, waitFor, tick, "the node writes itself down")
	d.node("")
	require.Eventually(t, func() bool {
		return len(regexp.MustCompile(`<span class="tag good">ready</span>`).FindAllString(b.get("/console/").body, -1)) == 2
	}, waitFor, tick, "so does the other")
}

// TestAdminOfConsole: what the console reads is for programs too, and for those with a token alone.
func TestAdminOfConsole(t *testing.T) {
	d := opened(t, "")
	for _, path := range []string{"/admin/v1/scopes", "/admin/v1/signing-keys", "/admin/v1/clients?search=x"} {
		p := d.browser().get(path)
		require.Equal(t, http.StatusUnauthorized, p.StatusCode, path)
		require.True(t, json.Valid([]byte(p.body)))
	}
	b := d.loggedIn()
	require.Equal(t, http.StatusUnauthorized, b.get("/admin/v1/clients").StatusCode, "a session of the console is no token")
}
