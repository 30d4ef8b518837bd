package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReservedScopes(t *testing.T) {
	o := openDesk(t)
	secret := o.client(t, "both", "grantor:admin grantor:clients orders:read")
	ask := func(scope string) (r reply) {
		within(t, func() bool {
			r = post(t, o.p.URL+"/oauth2/token", "both", secret, credentials(scope))
			return r.status != 401 // the node knows the client
		})
		return r
	}
	t.Run("RFC 9700 §2.3 power over Grantor and over an API in one token: invalid_scope", func(t *testing.T) {
		r := ask("grantor:admin orders:read")
		require.Equal(t, 400, r.status, r.body)
		require.Equal(t, "invalid_scope", r.json["error"])
		require.Contains(t, r.json["error_description"], "asked for alone")
	})
	t.Run("RFC 9700 §2.3 an API's token opens nothing on the admin listener", func(t *testing.T) {
		token := ask("orders:read").text("access_token")
		require.Equal(t, 401, o.p.ask(token, "GET", "/admin/v1/clients", nil).status)
		require.Equal(t, 401, o.p.ask(token, "POST", "/oauth2/register", members{"scope": "orders:read"}).status)
	})
	t.Run("RFC 9700 §2.3 the operator's token has the admin listener's audience, and no API sees it", func(t *testing.T) {
		token := ask("grantor:admin").text("access_token")
		require.Equal(t, 200, o.p.ask(token, "GET", "/admin/v1/clients", nil).status)
		answer := post(t, o.p.URL+"/oauth2/introspect", "both", secret, map[string][]string{"token": {token}})
		require.Equal(t, []any{answer.text("iss") + "/admin"}, answer.json["aud"], answer.body)
	})
}
