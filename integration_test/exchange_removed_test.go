package integration_test

import (
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestTrustedIssuerRemoved: an issuer that is taken out of the configuration ends the tokens for
// its JWTs, also those of a client in Redis whose policy still names it, and no others.
func TestTrustedIssuerRemoved(t *testing.T) {
	for name, format := range map[string]string{"opaque": "", "JWT": jwtFormat} {
		t.Run(name, func(t *testing.T) { testTrustedIssuerRemoved(t, format) })
	}
}

func testTrustedIssuerRemoved(t *testing.T, format string) {
	issuer, sign := trusted(t)
	addr := freeAddr(t)
	d := operated(t, redistest.Start(t), "issuer = \"http://"+addr+"\"\n"+format)
	before, err := os.ReadFile(d.config)
	require.NoError(t, err)
	trusting := string(before) + "\n[[trusted_issuers]]\nissuer = \"" + issuer + "\"\n"
	require.NoError(t, os.WriteFile(d.config, []byte(trusting), 0o600))
	e := &exchanges{deployment: d, a: run(t, built(t, module), nil, "serve", "--config", d.config, "--listen", addr)}
	e.b = e.a
	e.follow(t, format)
	secret := d.client(t, "door", "orders:read", "--grant-type", clients.GrantJWTBearer, "--grant-type", "client_credentials", "--exchange-subject-issuer", issuer, "--exchange-scope", "orders:read")
	foreign := func() (r reply) {
		within(t, func() bool {
			token := sign(map[string]any{"iss": issuer, "sub": "u-1", "aud": e.a.URL, "exp": time.Now().Add(time.Hour).Unix()})
			r = post(t, e.a.URL+"/oauth2/token", "door", secret, url.Values{"grant_type": {clients.GrantJWTBearer}, "assertion": {token}})
			return r.status == 200
		})
		return r
	}
	token := foreign().text("access_token")
	own := post(t, e.a.URL+"/oauth2/token", "door", secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}}).text("access_token")
	require.True(t, e.passes(t, token))
	require.True(t, e.passes(t, own))
	require.True(t, d.explained(t, token).Active)
	reload := func(text string) {
		loaded := strings.Count(e.a.Log.String(), "is in force")
		require.NoError(t, os.WriteFile(d.config, []byte(text), 0o600))
		require.NoError(t, e.a.Cmd.Process.Signal(hangup))
		within(t, func() bool { return strings.Count(e.a.Log.String(), "is in force") > loaded })
	}
	reload(string(before))
	ended := time.Now()
	t.Run("TX-09 its tokens are inactive, and refused by verifiers that follow within the lease", func(t *testing.T) {
		require.Equal(t, dead, e.introspect(t, e.a, token).body)
		require.False(t, d.explained(t, token).Active)
		for begun := time.Now(); e.passes(t, token); begun = time.Now() {
			require.Less(t, begun.Sub(ended), feedLease)
		}
	})
	t.Run("TX-09 other tokens of the client stay", func(t *testing.T) {
		require.Equal(t, true, e.introspect(t, e.a, own).json["active"])
		require.True(t, e.passes(t, own))
	})
	t.Run("JB-10 no new token", func(t *testing.T) {
		r := post(t, e.a.URL+"/oauth2/token", "door", secret, url.Values{"grant_type": {clients.GrantJWTBearer}, "assertion": {sign(map[string]any{"iss": issuer})}})
		require.Equal(t, 400, r.status, r.body)
	})
	t.Run("TX-03 an issuer that comes back is trusted anew", func(t *testing.T) {
		reload(trusting)
		require.True(t, e.passes(t, foreign().text("access_token")))
	})
}
