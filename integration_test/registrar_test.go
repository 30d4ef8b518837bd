package integration_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func TestDeletedClientsTokens(t *testing.T) {
	o := openDesk(t)
	t.Run("IN-24 a client is deleted, 204: its token is inactive in the very next request to the same node", func(t *testing.T) {
		for i := range 24 {
			id := fmt.Sprint("job-", i)
			secret := o.job(t, id)
			token := post(t, o.p.URL+"/oauth2/token", id, secret, credentials("orders:read")).text("access_token")
			require.Equal(t, true, o.introspect(t, o.p, token).json["active"])
			o.does(t, 204, "DELETE", clientPath(id), nil)
			require.Equal(t, dead, o.introspect(t, o.p, token).body)
		}
	})
	t.Run("IN-24 RFC 7592 §2.3 the same by its registration access token", func(t *testing.T) {
		for range 24 {
			made := o.does(t, 201, "POST", "/oauth2/register", members{"scope": "orders:read"})
			id := made.text("client_id")
			token := post(t, o.p.URL+"/oauth2/token", id, made.text("client_secret"), credentials("orders:read")).text("access_token")
			require.Equal(t, true, o.introspect(t, o.p, token).json["active"])
			require.Equal(t, 204, o.p.ask(made.text("registration_access_token"), "DELETE", "/oauth2/register/"+id, nil).status)
			require.Equal(t, dead, o.introspect(t, o.p, token).body)
		}
	})
	t.Run("IN-24 disabled, and rid of its tokens, by the admin API, of config.toml too", func(t *testing.T) {
		o.job(t, "job")
		for _, change := range []string{"/revoke-tokens", "/disable"} {
			token := o.deployment.token(t, o.p)
			o.does(t, 204, "POST", clientPath("machine")+change, nil)
			require.Equal(t, dead, o.introspect(t, o.p, token).body)
		}
	})
}

func TestRegisteredClientsLimit(t *testing.T) {
	d := operated(t, redistest.Start(t), "")
	o := desk{deployment: d, p: d.serve(t)}
	secret := d.client(t, "registrar", "grantor:clients grantor:admin orders:read orders:write")
	within(t, func() bool {
		o.token = post(t, o.p.URL+"/oauth2/token", "registrar", secret, credentials("grantor:clients grantor:admin")).text("access_token")
		return o.token != ""
	})
	t.Run("RFC 7592 §2.2 a client never takes more than it was given, nor what an operator took away", func(t *testing.T) {
		made := o.does(t, 201, "POST", "/oauth2/register", members{"scope": "orders:read"})
		id, own := made.text("client_id"), made.text("registration_access_token")
		put := func(scope string) reply {
			return o.p.ask(own, "PUT", "/oauth2/register/"+id, members{"client_id": id, "scope": scope})
		}
		require.Equal(t, 400, put("orders:write").status, "its registrar could have given it, and did not")
		require.Equal(t, 200, put("orders:read").status)
		o.does(t, 200, "PATCH", clientPath(id), members{"scope": ""})
		r := put("orders:read")
		require.Equal(t, 400, r.status)
		require.Equal(t, "invalid_client_metadata", r.json["error"])
		require.Contains(t, r.text("error_description"), "'orders:read' is beyond what this client was given")
		o.does(t, 200, "PATCH", clientPath(id), members{"scope": "orders:read", "grant_types": []string{}})
		require.Equal(t, 400, put("orders:read").status, "its grant was taken away")
		d.must(t, "", "client", "update", id, "--grant-type", "client_credentials", "--scope", "orders:read")
		require.Equal(t, 200, put("orders:read").status)
		require.Equal(t, 200, put("").status)
		require.Equal(t, 200, put("orders:read").status)
		d.must(t, "", "client", "update", id, "--scope", "")
		require.Equal(t, 400, put("orders:read").status)
	})
}

func TestRegistrationsAreBounded(t *testing.T) {
	d := operated(t, redistest.Start(t), "limits.registrations = 3\nlimits.registrations_per_hour = 5\n")
	o := desk{deployment: d, p: d.serve(t)}
	secret := d.client(t, "registrar", "grantor:clients orders:read")
	within(t, func() bool {
		o.token = post(t, o.p.URL+"/oauth2/token", "registrar", secret, credentials("grantor:clients")).text("access_token")
		return o.token != ""
	})
	t.Run("S-43 a holder of grantor:clients registers so many clients, and so many an hour", func(t *testing.T) {
		var last reply
		for range 3 {
			last = o.does(t, 201, "POST", "/oauth2/register", members{"scope": "orders:read"})
		}
		r := o.does(t, 403, "POST", "/oauth2/register", members{"scope": "orders:read"})
		require.Contains(t, r.text("error_description"), "[limits] registrations allows")
		require.Equal(t, 204, o.p.ask(last.text("registration_access_token"), "DELETE", "/oauth2/register/"+last.text("client_id"), nil).status)
		o.does(t, 201, "POST", "/oauth2/register", members{"scope": "orders:read"})
		r = o.does(t, 429, "POST", "/oauth2/register", members{"scope": "orders:read"})
		require.Contains(t, r.text("error_description"), "registrations_per_hour")
		require.NotEmpty(t, r.header.Get("Retry-After"))
	})
}
