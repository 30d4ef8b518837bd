package integration_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// poll asks for what ended behind a position, as the API.
func (d deployment) poll(t *testing.T, p *process, at string) reply {
	t.Helper()
	return post(t, p.URL+"/oauth2/revocations", "api", d.api, url.Values{"after": {at}, "echo": {"e"}})
}

// TestFeedAfterAnUpgrade: nodes of a version before the feed end tokens without telling it.
func TestFeedAfterAnUpgrade(t *testing.T) {
	s := redistest.Start(t)
	d := deploy(t, redisStore(s))
	t.Run("an empty Redis: the first node enables the feed", func(t *testing.T) {
		p := d.serve(t)
		r := d.poll(t, p, "")
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, "e", r.text("echo"))
		require.Equal(t, "the revocation feed was enabled before; nothing was changed\n", d.must(t, "", "feed", "enable"))
		p.stop(termination)
	})
	require.NoError(t, s.Client().Del(t.Context(), "grantor:feed:{registry}:enabled").Err()) // as an earlier version left it
	p := d.serve(t)
	t.Run("polls are answered 503, which says what to do; tokens are introspected as ever", func(t *testing.T) {
		r := d.poll(t, p, "")
		require.Equal(t, 503, r.status, r.body)
		require.Contains(t, r.text("error_description"), "grantor feed enable")
		token := d.token(t, p)
		r = post(t, p.URL+"/oauth2/introspect", "api", d.api, url.Values{"token": {token}, "follow": {"true"}})
		require.Equal(t, true, r.json["active"], r.body)
		require.NotContains(t, r.json, "position")
	})
	t.Run("grantor feed enable asks, enables, and says so", func(t *testing.T) {
		out, code := d.command(t, "", "feed", "enable")
		require.Equal(t, 2, code, out)
		require.Contains(t, out, "--yes")
		require.Equal(t, 503, d.poll(t, p, "").status)
		require.Equal(t, "the revocation feed is enabled: verifiers that follow are answered from now on\n", d.must(t, "", "feed", "enable", "--yes"))
		require.Eventually(t, func() bool { return d.poll(t, p, "").status == 200 }, 5*time.Second, 10*time.Millisecond)
		require.JSONEq(t, `{"ok": true}`, d.must(t, "", "feed", "enable", "--yes", "--json"))
	})
	t.Run("what is revoked is polled, by its jti", func(t *testing.T) {
		token := d.token(t, p)
		jti := d.introspect(t, p, token).text("jti")
		at := d.poll(t, p, "").text("position")
		require.Equal(t, 200, post(t, p.URL+"/oauth2/revoke", "machine", d.machine, url.Values{"token": {token}}).status)
		require.Contains(t, d.poll(t, p, at).json["ended"], jti)
	})
	t.Run("with store = memory there is nothing to enable", func(t *testing.T) {
		out, code := deploy(t, memoryStore).command(t, "", "feed", "enable", "--yes")
		require.Equal(t, 2, code)
		require.Contains(t, out, `with store = "memory" the revocation feed is always enabled`)
	})
}
