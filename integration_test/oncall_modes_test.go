package integration_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestOnCallModes: what an operator asks and ends, over Sentinel and in a Cluster.
func TestOnCallModes(t *testing.T) {
	for mode, store := range map[string]func(*testing.T) string{
		"sentinel": func(t *testing.T) string {
			s := redistest.Sentinel(t)
			return fmt.Sprintf("redis.master = %q\nredis.addrs = [\"%s\"]\n", redistest.MasterName, strings.Join(s.Addrs, `", "`))
		},
		"cluster": func(t *testing.T) string {
			return fmt.Sprintf("redis.addrs = [\"%s\"]\n", strings.Join(redistest.Cluster(t, 3).Addrs, `", "`))
		},
	} {
		t.Run(mode, func(t *testing.T) {
			d := withUsers(t, "store = \"redis\"\nredis.mode = \""+mode+"\"\n"+store(t)+"limits.client_failures = 3\n", configUsers())
			p := d.serve(t)
			t.Run("S-12 a locked user is found and unlocked", func(t *testing.T) {
				lock(t, p, "ada", adaPassword)
				require.Contains(t, d.must(t, "", "user", "list", "--locked"), "u-1")
				require.Contains(t, d.must(t, "", "user", "show", "ada"), "5 of 5 from new addresses, locked until")
				d.must(t, "", "user", "unlock", "ada")
				require.Equal(t, 200, login(t, p, "ada", adaPassword).status)
			})
			t.Run("CA-16 a client that is locked out is unlocked", func(t *testing.T) {
				ask := func() int {
					return post(t, p.URL+"/oauth2/token", "machine", "wrong", url.Values{"grant_type": {"client_credentials"}}).status
				}
				within(t, func() bool { return ask() == 429 })
				require.Contains(t, d.must(t, "", "client", "show", "machine"), "127.0.0.1")
				d.must(t, "", "client", "unlock", "machine")
				within(t, func() bool { return ask() == 401 })
			})
			t.Run("RFC 7009 §2 a token and a session are explained and ended", func(t *testing.T) {
				machine := post(t, p.URL+"/oauth2/token", "machine", d.machine, url.Values{"grant_type": {"client_credentials"}}).text("access_token")
				ada := login(t, p, "ada", adaPassword)
				for token, reason := range map[string]string{machine: "expired_or_revoked", ada.text("refresh_token"): "session_ended"} {
					require.True(t, d.explained(t, token).Active)
					require.Contains(t, d.must(t, token, "token", "revoke", "--as-operator"), "has ended")
					require.Equal(t, reason, string(d.explained(t, token).Reason))
				}
				require.Equal(t, "session_ended", string(d.explained(t, ada.text("access_token")).Reason))
			})
		})
	}
}
