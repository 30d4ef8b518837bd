package integration_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/audit"
)

// TestAdminOnCall: single tokens and lockouts by the admin API.
func TestAdminOnCall(t *testing.T) {
	o, replica := hungDesk(t)
	secret := o.job(t, "job")
	sub := o.user(t, "ada")
	token := o.issued(t, "job", secret)
	explain := func(token string, more ...string) reply {
		body := members{"token": token}
		if len(more) > 0 {
			body["caller"] = more[0]
		}
		return o.does(t, 200, "POST", "/admin/v1/tokens/explain", body)
	}
	last := func() (last audit.Event) {
		for _, e := range readTrail(t, o.p.Out.String()[strings.IndexByte(o.p.Out.String(), '{'):]) {
			if e.Event == audit.TokenRevoked || e.Event == audit.UserChanged {
				last = e
			}
		}
		return last
	}
	t.Run("RFC 7662 §4 refusals: no token, no such caller, no scope, no body of JSON", func(t *testing.T) {
		for _, path := range []string{"/admin/v1/tokens/explain", "/admin/v1/tokens/revoke"} {
			o.refused(t, 400, "invalid_request", "POST", path, members{})
			o.refused(t, 400, "invalid_request", "POST", path, members{"token": token, "surprise": 1})
			weak := o
			weak.token = token
			weak.refused(t, 401, "invalid_token", "POST", path, members{"token": token})
		}
		o.refused(t, 400, "invalid_request", "POST", "/admin/v1/tokens/explain", members{"token": token, "caller": "nobody"})
		o.refused(t, 400, "invalid_request", "POST", "/admin/v1/tokens/revoke", members{"token": token, "caller": "api"})
		require.Equal(t, true, explain(token).json["active"], "nothing was ended")
	})
	t.Run("RFC 7662 §4 what a token is, and what a caller sees of it", func(t *testing.T) {
		e := explain(token, "api")
		require.Equal(t, []any{true, "job", "orders:read"}, []any{e.json["active"], e.text("client_id"), e.text("scope")})
		require.Equal(t, "introspect_own", explain(token, "machine").text("reason"))
		require.NotContains(t, e.body, token[4:16])
	})
	t.Run("RFC 7009 §2 a token ends, with the caller as actor in the trail", func(t *testing.T) {
		r := o.does(t, 200, "POST", "/admin/v1/tokens/revoke", members{"token": token})
		require.Equal(t, []any{true, true, "job"}, []any{r.json["ours"], r.json["ended"], r.text("client_id")})
		require.Equal(t, dead, o.introspect(t, o.p, token).body)
		require.Equal(t, "expired_or_revoked", explain(token).text("reason"))
		within(t, func() bool { return last().Token == r.text("jti") })
		require.Equal(t, []any{"op", "job"}, []any{last().Actor, last().Client})
		require.Equal(t, false, o.does(t, 200, "POST", "/admin/v1/tokens/revoke", members{"token": token}).json["ended"])
		require.Equal(t, false, o.does(t, 200, "POST", "/admin/v1/tokens/revoke", members{"token": elsewhere(t)}).json["ours"])
	})
	t.Run("S-12 a locked user is shown, listed and unlocked", func(t *testing.T) {
		lock(t, o.p, "ada", adaPassword)
		shown := o.does(t, 200, "GET", userPath(sub)+"/lockout", nil)
		require.Equal(t, true, shown.json["locked"])
		require.Contains(t, o.does(t, 200, "GET", "/admin/v1/lockouts", nil).body, `"sub":"`+sub+`"`)
		o.does(t, 204, "DELETE", userPath(sub)+"/lockout", nil)
		require.Equal(t, 200, login(t, o.p, "ada", adaPassword).status)
		require.Equal(t, false, o.does(t, 200, "GET", userPath(sub)+"/lockout", nil).json["locked"])
		within(t, func() bool { return last().Detail == "unlocked "+shown.text("subject_hash") })
	})
	t.Run("S-12 S-13 by the name that nobody has, and by the address", func(t *testing.T) {
		lock(t, o.p, "ghost", "x")
		query := "/lockout?username=" + url.QueryEscape("GHOST")
		require.Equal(t, true, o.does(t, 200, "GET", userPath("u-none")+query, nil).json["locked"])
		o.does(t, 204, "DELETE", userPath("u-none")+query, nil)
		require.Equal(t, false, o.does(t, 200, "GET", userPath("u-none")+query, nil).json["locked"])
		o.does(t, 204, "DELETE", "/admin/v1/lockouts/127.0.0.1", nil)
		within(t, func() bool { return last().Detail == "unlocked address 127.0.0.1" })
		o.refused(t, 400, "invalid_request", "DELETE", "/admin/v1/lockouts/everywhere", nil)
	})
	t.Run("S-22 a replica hangs: ended, not confirmed, and the trail says so", func(t *testing.T) {
		token := o.issued(t, "job", secret)
		replica.Pause()
		r := o.does(t, 503, "POST", "/admin/v1/tokens/revoke", members{"token": token})
		require.Equal(t, []any{"not_confirmed", true}, []any{r.text("outcome"), r.json["ended"]})
		within(t, func() bool { return last().Reason == audit.NotConfirmed && last().Event == audit.TokenRevoked })
		replica.Resume()
		require.Equal(t, dead, o.introspect(t, o.p, token).body)
	})
	require.NotContains(t, o.p.Log.String(), token[4:16])
}
