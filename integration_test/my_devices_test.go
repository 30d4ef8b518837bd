package integration_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/middleware"
)

// TestMyDevices plays the session of the guide.
func TestMyDevices(t *testing.T) {
	needs(t, "curl", "")
	addr := freeAddr(t) // the demo's clients work under the shipped configuration only; the port is ours
	p := run(t, built(t, module), []string{"GRANTOR_CONFIG=" + absolute(t, "../config.toml"), "GRANTOR_ISSUER=http://" + addr}, "--listen", addr)
	session := consoleOf(t, "../docs/guides/my-devices.md", "TestMyDevices")
	playConsole(t, session, strings.NewReplacer("http://127.0.0.1:8080", p.URL), func(string) bool { return false })
}

const phoneClient = `
[[clients]]
client_id = "phone"
client_name = "Orders for phones"
token_endpoint_auth_method = "none"
grant_types = ["password", "refresh_token"]
scope = "orders:* grantor:sessions"
`

// phone is a session of ada, with both kinds of its access token.
type phone struct{ orders, own, refresh string }

func newPhone(t *testing.T, p *process, device string) phone {
	t.Helper()
	r := post(t, p.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"password"}, "client_id": {"phone"}, "username": {"ada"},
		"password": {adaPassword}, "scope": {"orders:read grantor:sessions"}, "device_name": {device}})
	require.Equal(t, 200, r.status, r.body)
	own := post(t, p.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"refresh_token"}, "client_id": {"phone"},
		"refresh_token": {r.text("refresh_token")}, "scope": {"grantor:sessions"}})
	require.Equal(t, 200, own.status, own.body)
	return phone{r.text("access_token"), own.text("access_token"), own.text("refresh_token")}
}

// own sends a request with a user's token.
func own(t *testing.T, method, where, token string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, where, http.NoBody)
	require.NoError(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	r := reply{status: res.StatusCode, header: res.Header, body: string(text)}
	if len(text) > 0 {
		require.NoError(t, json.Unmarshal(text, &r.json), r.body)
	}
	return r
}

// TestMyDevicesOnTwoNodes: a session that its user ends on one node is refused by the other and by
// a verifier that follows.
func TestMyDevicesOnTwoNodes(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) string{
		"one Redis": func(t *testing.T) string { return redisStore(redistest.Start(t)) },
		"a Cluster": clusterStore,
	} {
		t.Run(name, func(t *testing.T) { testTwoNodes(t, start(t)) })
	}
}

func clusterStore(t *testing.T) string {
	t.Helper()
	redistest.Need(t)
	var list []string
	for _, s := range redistest.Cluster(t, 3).Servers {
		list = append(list, s.Addr)
	}
	return "store = \"redis\"\nredis.mode = \"cluster\"\nredis.addrs = [\"" + strings.Join(list, "\", \"") + "\"]\n"
}

func testTwoNodes(t *testing.T, store string) {
	t.Helper()
	addr := freeAddr(t)
	d := withUsers(t, "issuer = \"http://"+addr+"\"\n"+store, configUsers()+phoneClient)
	a := run(t, built(t, module), nil, "serve", "--config", d.config, "--listen", addr)
	b := d.serve(t)
	follow, err := middleware.NewFollower(middleware.FollowerConfig{Issuer: a.URL, ClientID: "api", ClientSecret: d.api})
	require.NoError(t, err)
	t.Cleanup(follow.Close)
	live, err := middleware.NewIntrospection(middleware.IntrospectionConfig{Issuer: a.URL, ClientID: "api", ClientSecret: d.api, Follow: follow})
	require.NoError(t, err)
	passes := func(token string) bool {
		_, err := live.Verify(t.Context(), token)
		return err == nil
	}

	t.Run("the operator and the user see the same ids and names", func(t *testing.T) {
		mine := newPhone(t, a, "phone")
		list := own(t, "GET", b.URL+"/oauth2/sessions", mine.own)
		require.Equal(t, 200, list.status, list.body)
		id := list.json["sessions"].([]any)[0].(map[string]any)["id"].(string)
		table := d.must(t, "", "user", "sessions", "ada")
		require.Contains(t, table, id)
		require.Contains(t, table, "phone")
	})
	t.Run("a session that is ended on one node is refused on both, and by a live verifier within the lease", func(t *testing.T) {
		mine, lost := newPhone(t, a, "phone"), newPhone(t, a, "lost")
		require.Eventually(t, func() bool { return passes(lost.orders) && passes(mine.orders) }, 5*time.Second, 10*time.Millisecond)
		id := sessionNamed(t, a, mine, "lost")
		require.Equal(t, 204, own(t, "DELETE", b.URL+"/oauth2/sessions/"+id, mine.own).status)
		ended := time.Now()
		for _, p := range []*process{a, b} {
			require.Equal(t, false, d.introspect(t, p, lost.orders).json["active"])
			require.Equal(t, 401, own(t, "GET", p.URL+"/oauth2/sessions", lost.own).status)
			require.Equal(t, 400, refresh(t, p, "phone", lost.refresh).status)
		}
		require.Eventually(t, func() bool { return !passes(lost.orders) }, time.Until(ended.Add(time.Second)), 5*time.Millisecond)
		require.True(t, passes(mine.orders))
		require.Equal(t, 404, own(t, "DELETE", a.URL+"/oauth2/sessions/"+id, mine.own).status)
	})
	t.Run("all others, then all", func(t *testing.T) {
		mine, other := newPhone(t, a, "phone"), newPhone(t, b, "other")
		require.Equal(t, 204, own(t, "DELETE", b.URL+"/oauth2/sessions?keep=current", mine.own).status)
		require.Equal(t, false, d.introspect(t, a, other.orders).json["active"])
		require.Equal(t, true, d.introspect(t, b, mine.orders).json["active"])
		require.Equal(t, 204, own(t, "DELETE", a.URL+"/oauth2/sessions", mine.own).status)
		require.Equal(t, 401, own(t, "GET", b.URL+"/oauth2/sessions", mine.own).status)
		require.Eventually(t, func() bool { return !passes(mine.orders) }, time.Second, 5*time.Millisecond)
	})
}

func sessionNamed(t *testing.T, p *process, mine phone, device string) string {
	t.Helper()
	list := own(t, "GET", p.URL+"/oauth2/sessions", mine.own).json["sessions"].([]any)
	i := slices.IndexFunc(list, func(s any) bool { return s.(map[string]any)["device_name"] == device })
	require.GreaterOrEqual(t, i, 0)
	return list[i].(map[string]any)["id"].(string)
}

// TestSessionsPerUser: the bound on sessions, by the built binary.
func TestSessionsPerUser(t *testing.T) {
	s := redistest.Start(t)
	d := withUsers(t, redisStore(s)+"limits.sessions_per_user = 2\naudit.output = \"redis\"\n", configUsers()+phoneClient)
	a, b := d.serve(t), d.serve(t)
	first, second := newPhone(t, a, "first"), newPhone(t, b, "second")
	used := func() int64 { return s.Client().Time(t.Context()).Val().UnixMilli() }
	for now := used(); used() == now; { // of two uses in one millisecond none is the later
	}
	require.Equal(t, 200, refresh(t, b, "phone", first.refresh).status)
	third := newPhone(t, a, "third")
	require.Equal(t, false, d.introspect(t, b, second.orders).json["active"], "the least recently used")
	require.Equal(t, true, d.introspect(t, b, first.orders).json["active"])
	require.Equal(t, true, d.introspect(t, b, third.orders).json["active"])
	trail := func() (text string) {
		found, err := s.Client().XRange(t.Context(), "grantor:audit", "-", "+").Result()
		require.NoError(t, err)
		for _, m := range found {
			text += m.Values["event"].(string) + "\n"
		}
		return text
	}
	within(t, func() bool { return strings.Contains(trail(), `"reason":"sessions_per_user"`) })
}

// TestMyDevicesFromAPage: a web page of a configured origin may list and end sessions.
func TestMyDevicesFromAPage(t *testing.T) {
	d := withUsers(t, memoryStore+"cors.origins = [\"https://app.example.com\"]\n", configUsers()+phoneClient)
	p := d.serve(t)
	for origin, want := range map[string]string{"https://app.example.com": "https://app.example.com", "https://evil.example.com": ""} {
		r := own(t, "OPTIONS", p.URL+"/oauth2/sessions", "", "Origin: "+origin, "Access-Control-Request-Method: DELETE", "Access-Control-Request-Headers: authorization")
		require.Equal(t, want, r.header.Get("Access-Control-Allow-Origin"))
		if want != "" {
			require.Contains(t, r.header.Get("Access-Control-Allow-Methods"), "DELETE")
		}
	}
	r := own(t, "GET", p.URL+"/oauth2/sessions", newPhone(t, p, "page").own, "Origin: https://app.example.com")
	require.Equal(t, 200, r.status)
	require.Equal(t, "https://app.example.com", r.header.Get("Access-Control-Allow-Origin"))
}
