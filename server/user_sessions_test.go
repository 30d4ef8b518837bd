package server

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens"
)

const sesP = "/oauth2/sessions"

// phoneOf is a session of a user, with both kinds of its access token.
type phoneOf struct{ orders, own, refresh string }

func (f *fixture) newPhone(t *testing.T, user, more string) phoneOf {
	t.Helper()
	r := f.phone(t, user, bothScopes+more)
	require.Equal(t, 200, r.status, r.body)
	own := f.refreshPhone(t, r.text("refresh_token"), "&scope=grantor:sessions")
	require.Equal(t, 200, own.status, own.body)
	return phoneOf{r.text("access_token"), own.text("access_token"), own.text("refresh_token")}
}

func (f *fixture) own(t *testing.T, method, path, token string, headers ...string) reply {
	t.Helper()
	return f.call(t, method, path, "", append(headers, "Authorization: Bearer "+token)...)
}

// listed returns the sessions of an answer by what the app called the device.
func listed(t *testing.T, r reply) map[string]map[string]any {
	t.Helper()
	require.Equal(t, 200, r.status, r.body)
	byName := map[string]map[string]any{}
	for _, one := range r.json["sessions"].([]any) {
		s := one.(map[string]any)
		name, _ := s["device_name"].(string)
		byName[name] = s
	}
	return byName
}

func TestOwnSessions(t *testing.T) {
	f, _ := startPhones(t)
	t.Run("RFC 9110 §15.5.6 the answer names the methods that there are, and not those of other endpoints", func(t *testing.T) {
		for path, methods := range map[string]string{sesP: "GET, HEAD, DELETE", tokP: "POST", "/oauth2/openapi.json": "GET, HEAD"} {
			r := f.call(t, http.MethodPut, path, "")
			require.Equal(t, 405, r.status)
			require.Equal(t, methods, r.header.Get("Allow"))
			require.Contains(t, r.text("error_description"), "it takes "+methods)
			require.Equal(t, methods == "POST", strings.Contains(r.body, "POST"), r.body)
		}
	})
	t.Run("BR-23 RFC 6750 §2 §3 refusals", func(t *testing.T) { testOwnRefusals(t, f) })
	t.Run("BR-24 a user sees the sessions of this user alone", func(t *testing.T) {
		ada := f.newPhone(t, "ada", "&device_name="+url.QueryEscape("Ada's 電話"))
		f.newPhone(t, "ada", "&device_name=tablet")
		f.newPhone(t, "eve", "&device_name=eve")
		r := f.own(t, "GET", sesP, ada.own)
		require.Equal(t, "no-store", r.header.Get("Cache-Control"))
		list := listed(t, r)
		require.Contains(t, list, "tablet")
		require.NotContains(t, list, "eve")
		mine := list["Ada's 電話"]
		require.Equal(t, true, mine["current"])
		require.Equal(t, false, list["tablet"]["current"])
		require.Equal(t, "Orders for phones", mine["client_name"])
		require.Equal(t, "127.0.0.0/24", mine["address"])
		for _, name := range []string{"created", "last_used", "expires"} {
			_, err := time.Parse(time.RFC3339, mine[name].(string))
			require.NoError(t, err)
		}
		require.Equal(t, f.server.codec.Tag("u-1"), userTag(t, f, ada))
		found, err := f.store.Sessions(t.Context(), userTag(t, f, ada))
		require.NoError(t, err)
		require.Equal(t, found[1].ID.String(), mine["id"], "the id that the operator sees too")
		head, err := http.NewRequestWithContext(t.Context(), http.MethodHead, f.URL+sesP, http.NoBody)
		require.NoError(t, err)
		head.Header.Set("Authorization", "Bearer "+ada.own)
		answer, err := http.DefaultClient.Do(head)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, 200, answer.StatusCode)
	})
	t.Run("RFC 9110 §15.5.6 methods", func(t *testing.T) {
		for path, methods := range map[string][]string{sesP: {"POST", "PUT", "PATCH", "OPTIONS"}, sesP + "/x": {"GET", "POST", "PUT", "OPTIONS"}} {
			for _, m := range methods {
				r := f.call(t, m, path, "")
				require.Equal(t, 405, r.status, m+" "+path)
				require.Contains(t, r.header.Get("Allow"), "DELETE")
			}
		}
	})
	t.Run("a client's limit counts these requests", func(t *testing.T) {
		f, _ := startPhones(t)
		own := f.newPhone(t, "ada", "").own
		f.server.cfg.RequestsPerSecond = 1
		require.Equal(t, 200, f.own(t, "GET", sesP, own).status)
		r := f.own(t, "GET", sesP, own)
		require.Equal(t, 429, r.status)
		require.Equal(t, "1", r.header.Get("Retry-After"))
	})
}

func userTag(t *testing.T, f *fixture, p phoneOf) tokens.Tag {
	t.Helper()
	tok, err := f.server.codec.Parse(p.refresh)
	require.NoError(t, err)
	return tok.Tag
}

func testOwnRefusals(t *testing.T, f *fixture) {
	t.Helper()
	p := f.newPhone(t, "ada", "")
	bearer := "Authorization: Bearer "
	for name, c := range map[string]struct {
		query     string
		headers   []string
		status    int
		code      string
		challenge string
	}{
		"§3.1 no token: no error in the challenge": {"", nil, 401, "invalid_token", `Bearer realm="grantor", scope="grantor:sessions"`},
		"§2.1 another scheme":                      {"", []string{authorization("phone:x")}, 401, "invalid_token", `Bearer realm="grantor", scope="grantor:sessions"`},
		"§2.3 a token in the query":                {"?access_token=" + p.own, nil, 401, "invalid_token", `Bearer realm="grantor", scope="grantor:sessions"`},
		"§2 a token in two ways":                   {"?access_token=" + p.own, []string{bearer + p.own}, 400, "invalid_request", `error="invalid_request"`},
		"§2 two headers":                           {"", []string{bearer + p.own, bearer + p.own}, 400, "invalid_request", `error="invalid_request"`},
		"§2.1 no b64token":                         {"", []string{bearer + "a b"}, 400, "invalid_request", `error="invalid_request"`},
		"§3.1 a forged token":                      {"", []string{bearer + "gat_" + strings.Repeat("a", 60)}, 401, "invalid_token", `error="invalid_token"`},
		"RFC 6749 §1.5 a refresh token":            {"", []string{bearer + p.refresh}, 401, "invalid_token", `error="invalid_token"`},
		"§3.1 the app's usual token":               {"", []string{bearer + p.orders}, 403, "insufficient_scope", `error="insufficient_scope"`},
		"a machine's token":                        {"", []string{bearer + f.issue(t, "")}, 403, "insufficient_scope", `scope="grantor:sessions"`},
	} {
		for _, method := range []string{"GET", "DELETE"} {
			r := f.call(t, method, sesP+c.query, "", c.headers...)
			refused(t, r, c.status, c.code)
			require.Contains(t, r.header.Get("WWW-Authenticate"), c.challenge, name)
			require.NotContains(t, r.body, p.own)
		}
	}
	t.Run("RFC 9068 §4 a token with the scope and another audience", func(t *testing.T) {
		text, access := f.server.codec.NewUserAccess(userTag(t, f, p), tokens.NewSessionID())
		epoch, err := f.store.UserEpoch(t.Context(), access.Tag, time.Hour)
		require.NoError(t, err)
		client, err := f.server.cfg.Clients.Get(t.Context(), "phone")
		require.NoError(t, err)
		_, err = f.store.StartSession(t.Context(), &tokens.SessionStart{Access: access, IdleTTL: time.Hour, MaxTTL: time.Hour, EpochTTL: time.Hour,
			Record:  &tokens.Record{Scope: "grantor:sessions", Audience: []string{ordersResource}, IssuedAt: time.Now().Truncate(time.Second), TTL: time.Minute},
			Session: tokens.Session{Tag: access.Tag, ID: access.Session, ClientID: "phone", ClientEpoch: client.Epoch, UserEpoch: epoch, Subject: "u-1"}})
		require.NoError(t, err)
		r := f.own(t, "GET", sesP, text)
		refused(t, r, 401, "invalid_token")
		require.Contains(t, r.text("error_description"), "another resource")
	})
	require.Equal(t, 200, f.own(t, "GET", sesP, p.own).status, "no refusal ended anything")
}

func TestDeviceName(t *testing.T) {
	f, _ := startPhones(t)
	for name, wrong := range map[string]string{
		"too long":        strings.Repeat("電", 65),
		"a line break":    "a\nb",
		"an escape":       "a\x1b[2Jb",
		"a bidi mark":     "a\u202eb",
		"a zero width":    "a\u200bb",
		"a refresh token": "grt_" + strings.Repeat("a", 60),
	} {
		r := f.phone(t, "ada", "&device_name="+url.QueryEscape(wrong))
		refused(t, r, 400, codeInvalidRequest)
		require.Contains(t, r.text("error_description"), "device_name", name)
	}
	refused(t, f.phone(t, "ada", "&device_name=a&device_name=b"), 400, codeInvalidRequest)
	require.NotContains(t, listedNames(t, f), "")
	own := f.newPhone(t, "ada", "&device_name="+url.QueryEscape("  "+strings.Repeat("電", 64)+" "))
	require.Contains(t, listed(t, f.own(t, "GET", sesP, own.own)), strings.Repeat("電", 64))
}

func listedNames(t *testing.T, f *fixture) (names []string) {
	t.Helper()
	found, err := f.store.Sessions(t.Context(), f.server.codec.Tag("u-1"))
	require.NoError(t, err)
	for _, s := range found {
		names = append(names, s.Device)
	}
	return names
}

func TestSessionsPerUser(t *testing.T) {
	var trail lines
	f, _ := startPhones(t, withTrail(&trail), func(c *Config) { c.SessionsPerUser = 3 })
	var all []phoneOf
	for range 3 {
		all = append(all, f.newPhone(t, "ada", ""))
		time.Sleep(2 * time.Millisecond) // of the store's clock, which has milliseconds
	}
	require.Equal(t, 200, f.refreshPhone(t, all[0].refresh, "").status)
	fourth := f.newPhone(t, "ada", "")
	active := func(p phoneOf) bool { return f.inspect(t, p.own).json["active"].(bool) }
	require.True(t, active(all[0]), "it was used since")
	require.False(t, active(all[1]), "the least recently used")
	require.True(t, active(all[2]))
	require.True(t, active(fourth))
	refused(t, f.refreshPhone(t, all[1].refresh, ""), 400, codeInvalidGrant)
	require.Eventually(t, func() bool { return strings.Contains(trail.String(), `"reason":"sessions_per_user"`) }, 5*time.Second, 5*time.Millisecond)
	tok, err := f.server.codec.Parse(all[1].refresh)
	require.NoError(t, err)
	line := trail.String()[:strings.Index(trail.String(), `"reason":"sessions_per_user"`)]
	require.True(t, strings.HasSuffix(line, `"session":"`+tok.Session.String()+`",`), line[max(0, len(line)-300):])

	t.Run("a login stands where the ends cannot be confirmed", func(t *testing.T) {
		f.server.cfg.Store = &unconfirming{f.server.cfg.Store, redisdb.ErrUnavailable, false}
		r := f.phone(t, "ada", bothScopes)
		require.Equal(t, 200, r.status, r.body)
		require.Contains(t, f.log.String(), "sessions beyond sessions_per_user may not have ended")
	})
}
