package integration_test

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestUnlockClient: wrong credentials of a client come from one address, and are answered 429
// there.
func TestUnlockClient(t *testing.T) {
	s := redistest.Start(t)
	d := withUsers(t, redisStore(s)+"admin.listen = \"127.0.0.1:0\"\nlimits.client_failures = 3\n", redisUsers)
	o := desk{deployment: d, p: d.serve(t)}
	secret := d.client(t, "op", "grantor:admin")
	within(t, func() bool {
		o.token = post(t, o.p.URL+"/oauth2/token", "op", secret, credentials("grantor:admin")).text("access_token")
		return o.token != ""
	})
	other := o.serve(t)
	ask := func(p *process, secret string) int {
		return post(t, p.URL+"/oauth2/token", "machine", secret, url.Values{"grant_type": {"client_credentials"}}).status
	}
	lock := func() {
		require.Eventually(t, func() bool { return ask(o.p, "wrong") == 429 && ask(other, "wrong") == 429 }, 10*time.Second, time.Millisecond)
	}
	type shown struct {
		ClientID string `json:"client_id"`
		Locked   bool
		Failures failures
		Failed   failures `json:"failed_authentications"`
	}
	read := func(text string) (v shown) {
		require.NoError(t, json.Unmarshal([]byte(text), &v), text)
		return v
	}
	t.Run("CA-16 nothing failed", func(t *testing.T) {
		require.Empty(t, read(o.must(t, "", "client", "show", "machine")).Failed)
		require.Contains(t, o.must(t, "", "client", "unlock", "machine"), "nothing was changed")
		out, code := o.command(t, "", "client", "unlock", "nobody")
		require.Equal(t, 1, code)
		require.Contains(t, out, `there is no client "nobody"`)
		o.does(t, 404, "GET", clientPath("nobody")+"/lockout", nil)
		o.does(t, 404, "DELETE", clientPath("nobody")+"/lockout", nil)
	})
	t.Run("CA-16 S-54 a client that is locked out is shown with the address, and unlocked by the command", func(t *testing.T) {
		lock()
		require.Equal(t, 200, ask(o.p, o.machine), "a right secret always passes")
		f := read(o.must(t, "", "client", "show", "machine")).Failed
		require.Len(t, f, 1)
		require.Equal(t, "127.0.0.1", f[0].Network)
		require.InDelta(t, 60, time.Until(f[0].LockedUntil).Seconds(), 30)
		require.Contains(t, o.must(t, "", "client", "unlock", "machine"), "failed authentications are forgotten")
		require.Eventually(t, func() bool { return ask(o.p, "wrong") == 401 }, 5*time.Second, 50*time.Millisecond)
		require.Eventually(t, func() bool { return ask(other, "wrong") == 401 }, 5*time.Second, 50*time.Millisecond)
	})
	t.Run("CA-16 S-54 the same by the admin API", func(t *testing.T) {
		lock()
		v := read(o.does(t, 200, "GET", clientPath("machine")+"/lockout", nil).body)
		require.True(t, v.Locked)
		require.Equal(t, "127.0.0.1", v.Failures[0].Network)
		o.does(t, 204, "DELETE", clientPath("machine")+"/lockout", nil)
		require.Equal(t, 401, ask(o.p, "wrong"), "the node that was asked notices at once")
		within(t, func() bool { return ask(other, "wrong") == 401 })
	})
}
