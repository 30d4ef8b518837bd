package integration_test

import (
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestExchangeOfAnotherIssuer: a JWT of another issuer is exchanged through the whole binary. The
// policy comes by the command line, and the keys by discovery.
func TestExchangeOfAnotherIssuer(t *testing.T) {
	issuer, sign := trusted(t)
	d := operated(t, redistest.Start(t), "")
	text, err := os.ReadFile(d.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(d.config, append(text, "\n[[trusted_issuers]]\nissuer = \""+issuer+"\"\n"...), 0o600))
	p := d.serve(t)
	const grant = "urn:ietf:params:oauth:grant-type:token-exchange"
	with := func(issuer, scope string) []string {
		return []string{"--grant-type", grant, "--exchange-subject-issuer", issuer, "--exchange-scope", scope}
	}
	t.Run("TX-03 a policy names trusted issuers alone, and says what their JWTs give", func(t *testing.T) {
		for says, flags := range map[string][]string{"[[trusted_issuers]]": with("https://evil.example.com", "orders:read"), "needs scope": with(issuer, "")} {
			out, code := d.command(t, "", append([]string{"client", "create", "--id", "x", "--scope", "orders:read"}, flags...)...)
			require.Equal(t, 2, code, out)
			require.Contains(t, out, says)
		}
	})
	secret := d.client(t, "door", "orders:read", with(issuer, "orders:read")...)
	require.Contains(t, d.must(t, "", "client", "show", "door"), issuer)
	ask := func(change map[string]any) reply {
		claims := map[string]any{"iss": issuer, "sub": "u-1", "aud": "http://127.0.0.1:8080", "exp": time.Now().Add(time.Minute).Unix()}
		for name, value := range change {
			claims[name] = value
		}
		return post(t, p.URL+"/oauth2/token", "door", secret, url.Values{"grant_type": {grant}, "subject_token": {sign(claims)},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}})
	}
	var r reply
	within(t, func() bool { r = ask(nil); return r.status == 200 })
	t.Run("TX-03 TX-09 the new token is for the subject of the other issuer, and no longer than its JWT", func(t *testing.T) {
		says := d.introspect(t, p, r.text("access_token")).json
		require.Equal(t, []any{issuer + "|u-1", "external", "door", "orders:read"}, []any{says["sub"], says["sub_type"], says["client_id"], says["scope"]})
		require.LessOrEqual(t, r.json["expires_in"], float64(60))
	})
	t.Run("TX-03 RFC 7523 §3 item 7 a jti works once on all nodes", func(t *testing.T) {
		once := map[string]any{"jti": "once"}
		require.Equal(t, 200, ask(once).status)
		require.Equal(t, []any{400, "invalid_request"}, []any{ask(once).status, ask(once).json["error"]})
	})
	t.Run("TX-03 RFC 7523 §3 item 3 a JWT for somebody else", func(t *testing.T) {
		require.Equal(t, 400, ask(map[string]any{"aud": "https://other.example.com"}).status)
	})
	t.Run("TX-08 the policy is taken away: the tokens end", func(t *testing.T) {
		d.must(t, "", "client", "update", "door", "--exchange-subject-issuer", "", "--exchange-subject-client", "nobody")
		within(t, func() bool { return d.introspect(t, p, r.text("access_token")).json["active"] == false })
	})
}
