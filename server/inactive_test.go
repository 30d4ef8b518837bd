package server

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/tokens"
)

// whyInactive introspects and returns the reason that the log has for the answer.
func (f *fixture) whyInactive(t *testing.T, basic, token string) (reason string) {
	t.Helper()
	r := f.post(t, intP, basic, "token="+token)
	require.Equal(t, 200, r.status)
	require.Equal(t, dead, r.body)
	require.Eventually(t, func() bool { // the line is written after the answer
		for _, line := range f.told(t, r.header.Get("X-Request-Id"), "DEBUG") {
			reason, _ = line["reason"].(string)
		}
		return reason != ""
	}, 5*time.Second, time.Millisecond)
	return reason
}

func TestInactiveReasons(t *testing.T) {
	m := metrics.New("test")
	f, _ := startPeople(t, func(c *Config) { c.Metrics = m }, withKeys(t))
	for _, c := range f.clients {
		c.Format = clients.FormatOpaque
	}
	const gateway = "gateway:rs"
	count := func(reason string) string {
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		for line := range strings.Lines(w.Body.String()) {
			if rest, ok := strings.CutPrefix(line, `grantor_introspections_total{reason="`+reason+`",result="inactive"} `); ok {
				return strings.TrimSpace(rest)
			}
		}
		return "no series"
	}
	why := func(t *testing.T, want, basic, token string) {
		t.Helper()
		require.Equal(t, "0", count(want), "the series exists before")
		require.Equal(t, want, f.whyInactive(t, basic, token))
		require.Equal(t, "1", count(want))
	}
	change := func(id string, change func(*clients.Client)) {
		c := f.clientNamed(id)
		was := *c
		t.Cleanup(func() { *c = was })
		change(c)
	}
	revoke := func(t *testing.T, client, token string) {
		t.Helper()
		require.Equal(t, 200, f.post(t, revP, "", "client_id="+client+"&token="+token).status)
	}
	t.Run("RFC 7662 §2.2 what this server did not mint", func(t *testing.T) {
		require.Equal(t, inactiveNotOurs, inactiveReason(f.whyInactive(t, gateway, "nonsense")))
	})
	t.Run("RFC 7662 §4 the caller's own sight", func(t *testing.T) {
		token := f.issue(t, "&scope=orders:read")
		why(t, "introspect_own", "stranger:rs", token)
		why(t, "wrong_audience", "invoices-api:rs", token)
	})
	t.Run("an opaque token carries no end: expired and revoked look alike", func(t *testing.T) {
		token := f.issue(t, "")
		require.Equal(t, 200, f.post(t, revP, app, "token="+token).status)
		why(t, "expired_or_revoked", gateway, token)
		access, _ := f.loggedIn(t, "")
		revoke(t, "mobile", access)
		require.Equal(t, "expired_or_revoked", f.whyInactive(t, gateway, access))
	})
	t.Run("a session ended, and all of them", func(t *testing.T) {
		access, refresh := f.loggedIn(t, "")
		revoke(t, "mobile", refresh)
		why(t, "session_ended", gateway, access)
		access, _ = f.loggedIn(t, "")
		require.NoError(t, f.store.EndUser(t.Context(), f.server.codec.Tag("u-1")))
		why(t, "all_sessions_ended", gateway, access)
	})
	t.Run("§1.5 a refresh token is its own client's, and the newest", func(t *testing.T) {
		_, refresh := f.loggedIn(t, "")
		why(t, "other_clients_token", gateway, refresh)
		r := f.post(t, tokP, "web:s", "grant_type=password&username=ada&password="+strings.ReplaceAll(adaPassword, " ", "+"))
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, 200, f.post(t, tokP, "web:s", "grant_type=refresh_token&refresh_token="+r.text("refresh_token")).status)
		why(t, "refresh_token_used", "web:s", r.text("refresh_token"))
		_, err := f.server.Verifier().Verify(t.Context(), refresh)
		require.Error(t, err, "no access token")
	})
	t.Run("§2.2 a JWT carries its end", func(t *testing.T) {
		change("app", func(c *clients.Client) { c.Format, c.AccessTTL = clients.FormatJWT, clients.Duration(time.Hour) })
		token := f.issue(t, "")
		require.Equal(t, 200, f.post(t, revP, app, "token="+token).status)
		why(t, "revoked_or_forged", gateway, token)
		change("app", func(c *clients.Client) { c.Format, c.AccessTTL = clients.FormatJWT, clients.Duration(time.Second) })
		token = f.issue(t, "")
		require.Eventually(t, func() bool { return f.inspect(t, token).body == dead }, 3*time.Second, 20*time.Millisecond)
		require.Equal(t, "expired", f.whyInactive(t, gateway, token))
	})
	t.Run("the client's standing", func(t *testing.T) {
		token := f.issue(t, "&scope=orders:read")
		for reason, end := range map[string]func(*clients.Client){
			"grant_not_allowed": func(c *clients.Client) { c.Grants = nil },
			"scope_not_allowed": func(c *clients.Client) { c.Scope = rules("plain") },
			"client_disabled":   func(c *clients.Client) { c.Disabled = true },
			"unknown_client":    func(c *clients.Client) { c.ID = "renamed" },
		} {
			was := *f.clientNamed("app")
			c := f.clientNamed("app")
			end(c)
			why(t, reason, gateway, token)
			*c = was
		}
		require.NoError(t, f.store.RenewClient(t.Context(), "app", tokens.Epoch{1}))
		why(t, "client_tokens_revoked", gateway, token)
	})
	t.Run("V-07 not_before", func(t *testing.T) {
		token := f.issue(t, "")
		f.server.cfg.NotBefore = time.Now().Add(2 * time.Second)
		why(t, "not_before", gateway, token)
	})
}

// The runbook has a row of each reason, and of no other.
func TestRunbookExplainsInactiveReasons(t *testing.T) {
	page, err := os.ReadFile("../docs/operate/runbooks.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(page), "\n## Why is this token inactive?\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var rows, want []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(section, -1) {
		rows = append(rows, m[1])
	}
	for _, r := range inactiveReasons {
		want = append(want, string(r))
	}
	require.ElementsMatch(t, want, rows)
}

func TestInactiveLinesAreSampled(t *testing.T) {
	f := start(t)
	token := f.issue(t, "")
	for range 20 {
		require.Equal(t, dead, f.post(t, intP, "stranger:rs", "token="+token).body)
		require.Equal(t, dead, f.inspect(t, "nonsense").body)
	}
	lines := map[string]map[string]any{}
	for line := range strings.Lines(f.log.String()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m))
		if m["msg"] == "token inactive" {
			require.Equal(t, "INFO", m["level"])
			require.NotContains(t, lines, m["reason"], "one line of a reason in ten seconds")
			lines[m["reason"].(string)] = m
		}
	}
	require.Len(t, lines, 2)
	require.Equal(t, "stranger", lines["introspect_own"]["client_id"])
	require.Equal(t, (tokens.Token{Hash: tokens.HashText(token)}).Name(), lines["introspect_own"]["jti"])
	require.NotContains(t, f.log.String(), token[4:20])

	l, at := newInactiveLines(), time.Now()
	take := func(after time.Duration) (uint64, bool) { return l.take(inactiveExpired, at.Add(after)) }
	_, ok := take(0)
	require.True(t, ok)
	for range 3 {
		_, ok = take(inactiveEvery - 1)
		require.False(t, ok)
	}
	skipped, ok := take(inactiveEvery)
	require.True(t, ok)
	require.EqualValues(t, 3, skipped, "the next line says how many were left out")
}
