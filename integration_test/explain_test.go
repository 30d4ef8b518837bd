package integration_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/server"
	"github.com/grantor-auth/grantor/tokens"
)

// explained asks grantor token explain about a token, in both forms, and demands that nothing of
// the token is in the answer.
func (d deployment) explained(t *testing.T, token string, args ...string) (e server.Explanation) {
	t.Helper()
	out, code := d.command(t, token+"\n", append([]string{"token", "explain", "--json"}, args...)...)
	require.NoError(t, json.Unmarshal([]byte(out), &e), out)
	require.Equal(t, e.Active, code == 0, out)
	text, again := d.command(t, token+"\n", append([]string{"token", "explain"}, args...)...)
	require.Equal(t, code, again, text)
	for _, said := range []string{out, text} {
		for i := 4; i+12 <= len(token); i++ {
			require.NotContains(t, said, token[i:i+12], "a part of the token")
		}
	}
	if !e.Active {
		require.NotEmpty(t, e.Meaning, string(e.Reason))
		require.Contains(t, text, e.Meaning)
	}
	return e
}

func TestTokenExplain(t *testing.T) {
	s := redistest.Start(t)
	d := withUsers(t, redisStore(s), configUsers())
	p := d.serve(t)
	ask := url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}}
	issue := func() string {
		r := post(t, p.URL+"/oauth2/token", "machine", d.machine, ask)
		require.Equal(t, 200, r.status, r.body)
		return r.text("access_token")
	}
	revoke := func(token string) {
		require.Equal(t, 200, post(t, p.URL+"/oauth2/revoke", "machine", d.machine, url.Values{"token": {token}}).status)
	}
	loggedIn := func() (access, refresh string) {
		r := login(t, p, "ada", adaPassword)
		require.Equal(t, 200, r.status, r.body)
		return r.text("access_token"), r.text("refresh_token")
	}
	t.Run("RFC 7662 §2.2 an active token of a client", func(t *testing.T) {
		e := d.explained(t, issue())
		require.Equal(t, []any{"access_token", "opaque", "right", true, "machine", "machine", "client", "orders:read"},
			[]any{e.Kind, e.Format, e.Checksum, *e.Ours, e.ClientID, e.Sub, e.SubType, e.Scope})
		require.Equal(t, []string{"https://orders.example.com"}, e.Audience)
		require.InDelta(t, 900, e.ExpiresAt.Sub(*e.IssuedAt).Seconds(), 0)
		require.Len(t, e.JTI, 22)
	})
	t.Run("RFC 7662 §4 what a caller sees", func(t *testing.T) {
		token := issue()
		require.True(t, d.explained(t, token, "--caller", "api").Active)
		require.Equal(t, "introspect_own", string(d.explained(t, token, "--caller", "app").Reason))
		out, code := d.command(t, token, "token", "explain", "--caller", "nobody")
		require.Equal(t, 2, code)
		require.Contains(t, out, `there is no client "nobody"`)
	})
	t.Run("RFC 7662 §2.2 revoked, cut, changed, made elsewhere", func(t *testing.T) {
		token := issue()
		revoke(token)
		e := d.explained(t, token)
		require.Equal(t, []any{true, "expired_or_revoked", "right"}, []any{*e.Ours, string(e.Reason), e.Checksum})
		for text, checksum := range map[string]string{token[:len(token)-1]: "wrong", token[:20] + "_" + token[21:]: "wrong", elsewhere(t): "right"} {
			e := d.explained(t, text)
			require.Equal(t, []any{"access_token", false, "not_ours", checksum}, []any{e.Kind, *e.Ours, string(e.Reason), e.Checksum})
		}
		e = d.explained(t, "nonsense that is no token")
		require.Equal(t, "unknown", e.Kind)
		require.Nil(t, e.Ours)
	})
	t.Run("§1.5 a user's tokens, of a session that stands and of one that ended", func(t *testing.T) {
		access, refresh := loggedIn()
		hash := strings.TrimSpace(d.must(t, "", "user", "hash", "ada"))
		a, r := d.explained(t, access), d.explained(t, refresh)
		for _, e := range []server.Explanation{a, r} {
			require.True(t, e.Active)
			require.Equal(t, []any{"app", "u-1", "user", "ada", hash, "orders:read"}, []any{e.ClientID, e.Sub, e.SubType, e.Username, e.SubjectHash, e.Scope})
			require.Equal(t, a.Session, e.Session)
		}
		require.Equal(t, "refresh_token", r.Kind)
		require.Equal(t, "other_clients_token", string(d.explained(t, refresh, "--caller", "api").Reason))
		require.Equal(t, 200, refreshed(t, p, refresh).status)
		require.Equal(t, "refresh_token_used", string(d.explained(t, refresh).Reason))
		require.Equal(t, 200, post(t, p.URL+"/oauth2/revoke", "", "", url.Values{"client_id": {"app"}, "token": {access}}).status)
		gone := d.explained(t, access)
		require.Equal(t, []any{"expired_or_revoked", "app", "u-1"}, []any{string(gone.Reason), gone.ClientID, gone.Sub}, "its session stands")
		d.must(t, "", "user", "logout", "ada", "--session", a.Session)
		require.Equal(t, "session_ended", string(d.explained(t, access).Reason))
		require.Equal(t, "session_ended", string(d.explained(t, refresh).Reason))
		access, _ = loggedIn()
		d.must(t, "", "user", "logout", "ada", "--all", "--yes")
		require.Equal(t, "all_sessions_ended", string(d.explained(t, access).Reason))
	})
	t.Run("the client's standing", func(t *testing.T) {
		token := issue()
		d.must(t, "", "client", "disable", "machine", "--yes")
		require.Equal(t, "client_disabled", string(d.explained(t, token).Reason))
		d.must(t, "", "client", "enable", "machine")
		require.Equal(t, "client_tokens_revoked", string(d.explained(t, token).Reason))
	})
	t.Run("§10.10 secrets are no tokens", func(t *testing.T) {
		for text, kind := range map[string]string{tokens.NewSecret(): "client_secret", tokens.NewRegistrationToken(): "registration_access_token"} {
			require.Equal(t, "right", d.explained(t, text).Checksum)
			e := d.explained(t, text[:len(text)-1])
			require.Equal(t, []any{kind, "wrong", "not_a_token"}, []any{e.Kind, e.Checksum, string(e.Reason)})
		}
	})
	t.Run("a wrong call", func(t *testing.T) {
		for says, args := range map[string][]string{
			"takes no --issuer": {"token", "explain", "--issuer", "https://x.example.com"},
			"no command":        {"token", "explain", "gat_" + strings.Repeat("x", 63)},
		} {
			out, code := d.command(t, "x", args...)
			require.Equal(t, 2, code, out)
			require.Contains(t, out, says)
			require.NotContains(t, out, "gat_xxxxxx")
		}
	})
}

// elsewhere is an access token that another deployment made.
func elsewhere(t *testing.T) string {
	t.Helper()
	text, _ := tokens.NewCodec(tokens.NewServerKey()).NewClientAccess()
	return text
}

func refreshed(t *testing.T, p *process, token string) reply {
	t.Helper()
	return refresh(t, p, "app", token)
}

func TestTokenExplainJWT(t *testing.T) {
	s := redistest.Start(t)
	d := withUsers(t, redisStore(s)+jwtFormat+"tokens.access_ttl = \"2s\"\n", configUsers())
	p := d.serve(t)
	issue := func() string {
		r := post(t, p.URL+"/oauth2/token", "machine", d.machine, url.Values{"grant_type": {"client_credentials"}})
		require.Equal(t, 200, r.status, r.body)
		return r.text("access_token")
	}
	short := issue()
	text, err := os.ReadFile(d.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(d.config, []byte(strings.Replace(string(text), "tokens.access_ttl = \"2s\"\n", "", 1)), 0o600))
	p = d.serve(t)
	token := issue()
	e := d.explained(t, token)
	require.Equal(t, []any{"access_token", "jwt", true, true, "machine", "orders:read"}, []any{e.Kind, e.Format, *e.Ours, e.Active, e.ClientID, e.Scope})
	at := strings.LastIndexByte(token, '.') + 5
	forged := token[:at] + map[bool]string{true: "B", false: "A"}[token[at] == 'A'] + token[at+1:]
	e = d.explained(t, forged)
	require.Equal(t, []any{false, "not_ours"}, []any{*e.Ours, string(e.Reason)}, "the signature tells")
	require.Equal(t, 200, post(t, p.URL+"/oauth2/revoke", "machine", d.machine, url.Values{"token": {token}}).status)
	e = d.explained(t, token)
	require.Equal(t, []any{true, "revoked", "machine", "orders:read"}, []any{*e.Ours, string(e.Reason), e.ClientID, e.Scope}, "a JWT carries its end")
	require.Equal(t, "not_ours", string(d.explained(t, forged).Reason), "revoked or forged: the signature tells")
	require.Eventually(t, func() bool { return d.introspect(t, p, short).body == dead }, 10*time.Second, 100*time.Millisecond)
	require.Equal(t, "expired", string(d.explained(t, short).Reason))
}

func TestTokenRevokeAsOperator(t *testing.T) {
	s := redistest.Start(t)
	trail := filepath.Join(t.TempDir(), "trail.jsonl")
	d := withUsers(t, redisStore(s)+"redis.wait_timeout = \"50ms\"\naudit.output = '"+trail+"'\n", configUsers())
	p := d.serve(t)
	active := func(token string) bool {
		r := post(t, p.URL+"/oauth2/introspect", "api", d.api, url.Values{"token": {token}})
		require.Equal(t, 200, r.status)
		return r.json["active"] == true
	}
	end := func(token string, args ...string) (string, int) {
		out, code := d.command(t, token+"\n", append([]string{"token", "revoke", "--as-operator"}, args...)...)
		require.NotContains(t, out, token[4:20])
		return out, code
	}
	last := func() (last audit.Event) {
		for _, e := range fileTrail(t, trail) {
			if e.Event == audit.TokenRevoked {
				last = e
			}
		}
		return last
	}
	issue := func() string {
		return post(t, p.URL+"/oauth2/token", "machine", d.machine, url.Values{"grant_type": {"client_credentials"}}).text("access_token")
	}
	t.Run("RFC 7009 §2 what is no token of this server is refused, and ends nothing", func(t *testing.T) {
		for text, says := range map[string]string{"nonsense, and long enough": "did not make the token", elsewhere(t): "did not make the token",
			tokens.NewSecret(): "rotate-secret", tokens.NewRegistrationToken(): "client delete"} {
			out, code := end(text)
			require.Equal(t, 1, code, out)
			require.Contains(t, out, says)
		}
		out, code := d.command(t, "x", "token", "revoke", "--as-operator", "--issuer", "https://x.example.com")
		require.Equal(t, 2, code, out)
		out, code = d.command(t, "x", "token", "revoke")
		require.Equal(t, 2, code, out)
		require.Contains(t, out, "--config is for --as-operator")
	})
	t.Run("RFC 7009 §2 a token ends without its client's secret, in the feed and in the trail", func(t *testing.T) {
		token := issue()
		require.True(t, active(token))
		before := s.Client().XLen(t.Context(), "grantor:feed:{registry}").Val()
		out, code := end(token)
		require.Zero(t, code, out)
		require.Contains(t, out, "the token has ended")
		require.False(t, active(token))
		require.Equal(t, before+1, s.Client().XLen(t.Context(), "grantor:feed:{registry}").Val())
		e := last()
		require.Equal(t, []any{audit.TokenRevoked, "machine", tokens.Token{Hash: tokens.HashText(token)}.Name(), whoRuns(t)}, []any{e.Event, e.Client, e.Token, e.Actor})
		out, code = end(token, "--json")
		require.Zero(t, code, out)
		require.Contains(t, out, `"ended": false`)
	})
	t.Run("RFC 7009 §2.1 with a refresh token the session ends", func(t *testing.T) {
		r := login(t, p, "ada", adaPassword)
		out, code := end(r.text("refresh_token"))
		require.Zero(t, code, out)
		require.Contains(t, out, "the session has ended")
		require.False(t, active(r.text("access_token")))
		require.Equal(t, 400, refresh(t, p, "app", r.text("refresh_token")).status)
		require.NotEmpty(t, last().Session)
		require.Equal(t, strings.TrimSpace(d.must(t, "", "user", "hash", "ada")), last().Subject)
	})
	t.Run("S-22 a replica hangs: it was done, is not confirmed, and says so", func(t *testing.T) {
		replica := s.AddReplica()
		token := issue()
		replica.Pause()
		out, code := end(token)
		require.Equal(t, 1, code, out)
		require.Contains(t, out, "too few replicas")
		require.Equal(t, audit.NotConfirmed, last().Reason)
		replica.Resume()
		require.False(t, active(token))
	})
	t.Run("S-20 Redis is gone: an error, not an answer", func(t *testing.T) {
		token := issue()
		s.Kill()
		out, code := end(token)
		require.Equal(t, 1, code, out)
		out, code = d.command(t, token, "token", "explain")
		require.Equal(t, 1, code, out)
		require.NotContains(t, out, "active")
	})
}

func TestOperatorsTokensOnTheMemoryStore(t *testing.T) {
	d := deploy(t, "store = \"memory\"\n")
	for _, args := range [][]string{{"token", "explain"}, {"token", "revoke", "--as-operator"}, {"user", "unlock", "ada"}, {"user", "show", "ada"}, {"user", "hash", "ada"}, {"user", "list", "--locked"}} {
		out, code := d.command(t, "x", args...)
		require.Equal(t, 2, code, out)
		require.Contains(t, out, `use store = "redis"`)
	}
}
