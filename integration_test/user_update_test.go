package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func TestUserUpdate(t *testing.T) {
	d := withUsers(t, redisStore(redistest.Start(t)), redisUsers)
	p := d.serve(t)
	const password = "a long enough password"
	d.must(t, password+"\n", "user", "add", "ada", "--id", "u-1", "--password-stdin", "--scope", "orders:read orders:write")
	d.must(t, password+"\n", "user", "add", "bob", "--password-stdin")
	t.Run("the refusals, each with what would be right", func(t *testing.T) {
		for _, c := range []struct {
			says string
			code int
			args []string
		}{
			{"say what to change: --scope S, --default-scope, --claim N=V or --username N", 2, []string{"ada"}},
			{`--scope: no scope of [scopes] matches "order:read"; did you mean "orders:read"?`, 2, []string{"ada", "--scope", "order:read"}},
			{`--claim: claim "sub": the name has a meaning by RFC 7519 §4.1`, 2, []string{"ada", "--claim", "sub=u-2"}},
			{`--claim: "role" has no =`, 2, []string{"ada", "--claim", "role"}},
			{`--claim: what follows level:= is not JSON`, 2, []string{"ada", "--claim", "level:=x"}},
			{`--claim: "role" is given twice`, 2, []string{"ada", "--claim", "role=a", "--claim", "role=b"}},
			{"; there is orders:read, orders:write", 2, []string{"ada", "--scope", "invoices"}},
			{"are for clients, never for users", 2, []string{"ada", "--scope", "grantor:sessions"}},
			{"give one of them", 2, []string{"ada", "--scope", "orders:read", "--default-scope"}},
			{"--username: username", 2, []string{"ada", "--username", "a\u200bb"}},
			{`another user has the name "bob"`, 1, []string{"ada", "--username", "bob"}},
			{`there is no user "eve"`, 1, []string{"eve", "--username", "bob"}},
			{"no such user", 1, []string{"--sub", "u-nobody", "--username", "new"}},
		} {
			out, code := d.command(t, "", append([]string{"user", "update"}, c.args...)...)
			require.Equal(t, c.code, code, out)
			require.Contains(t, out, c.says)
		}
		out, code := d.command(t, password+"\n", "user", "add", "eve", "--password-stdin", "--scope", "orders:reed")
		require.Equal(t, 2, code)
		require.Contains(t, out, `did you mean "orders:read"?`)
	})
	t.Run("claims: each is set or removed alone, and the next refresh has them", func(t *testing.T) {
		d.must(t, "", "user", "update", "ada", "--claim", "role=reader", "--claim", "level:=3")
		r := login(t, p, "ada", password)
		require.Equal(t, "reader", d.introspect(t, p, r.text("access_token")).text("role"))
		d.must(t, "", "user", "update", "ada", "--claim", "role=editor", "--claim", "level=")
		next := refresh(t, p, "app", r.text("refresh_token"))
		about := d.introspect(t, p, next.text("access_token"))
		require.Equal(t, "editor", about.text("role"))
		require.NotContains(t, about.json, "level")
	})
	t.Run("a new name: the sub and the sessions stay, the old name is free", func(t *testing.T) {
		r := login(t, p, "ada", password)
		require.Equal(t, 200, r.status, r.body)
		require.JSONEq(t, `{"ok":true}`, d.must(t, "", "user", "update", "ada", "--username", "ada.l", "--json"))
		require.Equal(t, "u-1", d.introspect(t, p, r.text("access_token")).text("sub"))
		require.Equal(t, 200, refresh(t, p, "app", r.text("refresh_token")).status)
		require.Equal(t, 400, login(t, p, "ada", password).status)
		again := login(t, p, "ada.l", password)
		require.Equal(t, "ada.l", d.introspect(t, p, again.text("access_token")).text("username"))
		d.must(t, password+"\n", "user", "add", "ada", "--password-stdin")
	})
	t.Run("a new scope counts from the next refresh on", func(t *testing.T) {
		r := login(t, p, "ada.l", password)
		d.must(t, "", "user", "update", "--sub", "u-1", "--scope", "orders:write")
		d.must(t, "", "user", "update", "--sub", "u-1", "--scope", "orders:read")
		next := refresh(t, p, "app", r.text("refresh_token"))
		require.Equal(t, "orders:read", next.text("scope"))
		out, code := d.command(t, "", "user", "update", "--sub", "u-1", "--scope", "")
		require.Zero(t, code, out)
		require.Contains(t, out, "warning: the user's scope gives nothing")
		require.Equal(t, 400, refresh(t, p, "app", next.text("refresh_token")).status)
		d.must(t, "", "user", "update", "--sub", "u-1", "--default-scope")
		require.Equal(t, "orders:read", refresh(t, p, "app", next.text("refresh_token")).text("scope"), "that of [users]")
	})
	t.Run("with users of config.toml there is nothing to update", func(t *testing.T) {
		out, code := withUsers(t, redisStore(redistest.Start(t)), configUsers()).command(t, "", "user", "update", "ada", "--username", "x")
		require.Equal(t, 2, code)
		require.Contains(t, out, `only with [users] source = "redis"`)
	})
}
