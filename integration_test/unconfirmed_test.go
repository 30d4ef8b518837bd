package integration_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// hungDesk is a desk on a primary whose only replica can be stopped.
func hungDesk(t *testing.T) (o desk, replica *redistest.Server) {
	t.Helper()
	s := redistest.Start(t)
	replica = s.AddReplica()
	o = openDeskOn(t, s, "redis.wait_timeout = \"50ms\"\n")
	return o, replica
}

// unconfirmed asks and demands that it was done and not confirmed, with an event in the trail that
// says so.
func (o desk) unconfirmed(t *testing.T, detail, method, path string, body any) reply {
	t.Helper()
	count := func() int {
		n := 0
		for line := range strings.Lines(o.p.Out.String()) {
			if strings.Contains(line, `"detail":"`+detail) && strings.Contains(line, `"reason":"not_confirmed"`) {
				n++
			}
		}
		return n
	}
	before := count()
	r := o.does(t, 503, method, path, body)
	require.Equal(t, "temporarily_unavailable", r.json["error"])
	require.Equal(t, "not_confirmed", r.json["outcome"])
	require.Contains(t, r.text("error_description"), "done")
	within(t, func() bool { return count() == before+1 })
	return r
}

func TestUnconfirmedChanges(t *testing.T) {
	o, replica := hungDesk(t)
	secret := o.job(t, "job")
	asks := func(id, secret string) int {
		return post(t, o.p.URL+"/oauth2/token", id, secret, credentials("orders:read")).status
	}
	sub, gone := o.user(t, "ada"), o.user(t, "bob")
	token := func(secret string) string {
		r := post(t, o.p.URL+"/oauth2/token", "job", secret, credentials("orders:read"))
		require.Equal(t, 200, r.status, r.body)
		return r.text("access_token")
	}
	replica.Pause()
	t.Run("S-22 S-33 a replica hangs: each change of the admin API was made, says so, and stands in the trail", func(t *testing.T) {
		made := o.unconfirmed(t, "created", "POST", "/admin/v1/clients", members{"client_id": "new", "grant_types": []string{"client_credentials"}, "scope": "orders:read"})
		require.Equal(t, 200, asks("new", made.text("client_secret")), "its secret is shown")
		o.unconfirmed(t, "changed", "PATCH", clientPath("new"), members{"client_name": "x"})
		o.unconfirmed(t, "disabled", "POST", clientPath("new")+"/disable", nil)
		require.Equal(t, 401, asks("new", made.text("client_secret")))
		o.unconfirmed(t, "enabled", "POST", clientPath("new")+"/enable", nil)
		live := token(secret)
		o.unconfirmed(t, "tokens revoked", "POST", clientPath("job")+"/revoke-tokens", nil)
		require.Equal(t, dead, o.introspect(t, o.p, live).body)
		o.unconfirmed(t, "deleted", "DELETE", clientPath("new"), nil)
		o.unconfirmed(t, "disabled", "POST", clientPath("machine")+"/disable", nil)
		o.unconfirmed(t, "enabled", "POST", clientPath("machine")+"/enable", nil)
		registered := o.unconfirmed(t, "registered", "POST", "/oauth2/register", members{"scope": "orders:read"})
		require.Equal(t, 200, asks(registered.text("client_id"), registered.text("client_secret")))
		seen.secret(registered.text("client_secret"), registered.text("registration_access_token"))
		own := o
		own.token = registered.text("registration_access_token")
		path := "/oauth2/register/" + registered.text("client_id")
		own.unconfirmed(t, "replaced by its own token", "PUT", path, members{"client_id": registered.text("client_id"), "scope": ""})
		own.unconfirmed(t, "deleted by its own token", "DELETE", path, nil)
	})
	t.Run("CA-17 a rotation that is not confirmed shows its secret; repeated it takes nothing from the fleet", func(t *testing.T) {
		first := o.unconfirmed(t, "secret rotated", "POST", clientPath("job")+"/secrets", members{"overlap": "24h"})
		require.Equal(t, 200, asks("job", secret))
		second := o.unconfirmed(t, "secret rotated", "POST", clientPath("job")+"/secrets", members{"overlap": "24h"})
		require.Equal(t, []any{first.text("secret_id")}, second.json["ended_secrets"])
		require.Equal(t, 200, asks("job", secret), "promised for 24 hours")
		require.Equal(t, 200, asks("job", second.text("client_secret")))
		r := o.does(t, 409, "POST", clientPath("job")+"/secrets", members{"overlap": "24h"})
		require.Contains(t, r.text("error_description"), "'force': true")
		require.Contains(t, r.text("error_description"), second.text("secret_id"))
		mine := "gcs_of-the-caller-" + strings.Repeat("x", 30)
		body := members{"overlap": "24h", "force": true, "secret_hash": clients.HashSecret(mine).String()}
		ended := o.unconfirmed(t, "secret rotated", "POST", clientPath("job")+"/secrets", body)
		require.Len(t, ended.json["ended_secrets"], 1)
		again := o.unconfirmed(t, "secret rotated", "POST", clientPath("job")+"/secrets", body)
		require.Nil(t, again.json["ended_secrets"], "the same secret, repeated")
		require.Equal(t, 200, asks("job", mine))
		o.unconfirmed(t, "secret revoked", "DELETE", clientPath("job")+"/secrets/"+ended.text("secret_id"), nil)
	})
	t.Run("V-13 users: changed, logged out, deleted; a repetition finds nobody and ends all the same", func(t *testing.T) {
		made := o.unconfirmed(t, "created", "POST", "/admin/v1/users", members{"username": "eve", "password_hash": adaHash(), "scope": "orders:read"})
		require.Equal(t, "eve", made.text("username"))
		o.unconfirmed(t, "changed", "PATCH", userPath(sub), members{"scope": "orders:read", "disabled": false})
		replica.Resume()
		within(t, func() bool { return o.p.ask(o.token, "DELETE", userPath("x")+"/sessions", nil).status == 204 })
		mine, theirs := o.logged(t, "ada", adaPassword), o.logged(t, "bob", adaPassword)
		replica.Pause()
		session := o.does(t, 200, "GET", userPath(sub)+"/sessions", nil).json["sessions"].([]any)[0].(members)["session"].(string)
		o.unconfirmed(t, "session ended", "DELETE", userPath(sub)+"/sessions/"+session, nil)
		require.Equal(t, dead, o.introspect(t, o.p, mine.text("access_token")).body)
		o.unconfirmed(t, "every session ended", "DELETE", userPath(sub)+"/sessions", nil)
		o.unconfirmed(t, "changed", "PATCH", userPath(sub), members{"disabled": true})
		o.unconfirmed(t, "deleted", "DELETE", userPath(gone), nil)
		require.Equal(t, dead, o.introspect(t, o.p, theirs.text("access_token")).body, "the sessions of a deleted user have ended")
		o.unconfirmed(t, "deleted", "DELETE", userPath(gone), nil)
		replica.Resume()
		within(t, func() bool { return o.p.ask(o.token, "DELETE", userPath("x")+"/sessions", nil).status == 204 })
		r := o.does(t, 404, "DELETE", userPath(gone), nil)
		require.Contains(t, r.text("error_description"), "have ended")
	})
	t.Run("V-13 what was not confirmed is confirmed by the node itself", func(t *testing.T) {
		within(t, func() bool { return strings.Contains(o.p.scrape(), "\ngrantor_pending_revocations 0\n") })
	})
}

func TestUnconfirmedCommands(t *testing.T) {
	o, replica := hungDesk(t)
	d := o.deployment
	fails := func(t *testing.T, args ...string) string {
		t.Helper()
		out, code := d.command(t, "", args...)
		require.Equal(t, 1, code, out)
		require.Contains(t, out, "this was done, but too few replicas have confirmed it")
		return out
	}
	asks := func(secret string) int {
		return post(t, o.p.URL+"/oauth2/token", "job", secret, credentials("orders:read")).status
	}
	shown := func(t *testing.T, out string) (made struct {
		Secret    string   `json:"client_secret"`
		Ended     []string `json:"ended_secrets"`
		Confirmed *bool    `json:"confirmed"`
	}) {
		t.Helper()
		require.NoError(t, json.NewDecoder(strings.NewReader(out[strings.Index(out, "{\n"):])).Decode(&made), out) // a line of the log may come first
		seen.secret(made.Secret)
		return made
	}
	sub := o.user(t, "ada")
	replica.Pause()
	t.Run("S-22 CA-17 a replica hangs: a secret that was made is printed, and the exit status says that it is not confirmed", func(t *testing.T) {
		made := shown(t, fails(t, "client", "create", "--json", "--id", "job", "--grant-type", "client_credentials", "--scope", "orders:read"))
		require.False(t, *made.Confirmed)
		within(t, func() bool { return asks(made.Secret) == 200 })
		rotated := shown(t, fails(t, "client", "rotate-secret", "job", "--overlap", "24h", "--json"))
		require.NotEmpty(t, rotated.Secret)
		again := shown(t, fails(t, "client", "rotate-secret", "job", "--overlap", "24h", "--json"))
		require.Len(t, again.Ended, 1)
		within(t, func() bool { return asks(again.Secret) == 200 })
		require.Equal(t, 200, asks(made.Secret), "the fleet's secret, promised for 24 hours")
		require.Equal(t, 401, asks(rotated.Secret))
	})
	t.Run("S-22 the others", func(t *testing.T) {
		for _, args := range [][]string{
			{"client", "update", "job", "--name", "x"}, {"client", "disable", "job", "--yes"}, {"client", "enable", "job"}, {"client", "revoke-tokens", "job", "--yes"},
			{"client", "disable", "machine", "--yes"}, {"client", "enable", "machine"}, {"client", "delete", "job", "--yes"},
			{"user", "logout", "ada", "--all", "--yes"}, {"user", "disable", "ada", "--yes"}, {"user", "enable", "ada"}, {"user", "delete", "ada", "--yes"},
			{"user", "delete", "--sub", sub, "--yes"},
		} {
			t.Run(fmt.Sprint(args), func(t *testing.T) { fails(t, args...) })
		}
	})
	replica.Resume()
	within(t, func() bool {
		out, code := d.command(t, "", "user", "logout", "--sub", "x", "--all", "--yes")
		return code == 0 && out != ""
	})
	out, code := d.command(t, "", "user", "delete", "--sub", sub, "--yes")
	require.Equal(t, 1, code)
	require.Contains(t, out, "whatever sessions it had have ended")
	t.Run("CA-17 two honest rotations within the overlap: the second is refused and says how to insist", func(t *testing.T) {
		first := d.client(t, "fleet", "orders:read")
		use := func(secret string) {
			within(t, func() bool {
				return post(t, o.p.URL+"/oauth2/token", "fleet", secret, credentials("orders:read")).status == 200
			})
		}
		second := shown(t, d.must(t, "", "client", "rotate-secret", "fleet", "--overlap", "24h", "--json")).Secret
		use(first)
		use(second)
		within(t, func() bool {
			return strings.Count(d.must(t, "", "client", "secrets", "fleet", "--json"), `"last_used"`) == 2
		})
		out, code := d.command(t, "", "client", "rotate-secret", "fleet", "--overlap", "24h")
		require.Equal(t, 1, code, out)
		require.Contains(t, out, "--force")
		use(first)
		use(second)
		third := shown(t, d.must(t, "", "client", "rotate-secret", "fleet", "--overlap", "24h", "--force", "--json"))
		require.Len(t, third.Ended, 1)
		use(third.Secret)
	})
}
