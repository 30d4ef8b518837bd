package integration_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func TestTrailInRedis(t *testing.T) {
	t.Run("S-33 what strangers cause stands in a stream of its own, and both have an end", func(t *testing.T) {
		s := redistest.Start(t)
		d := withUsers(t, redisStore(s)+"audit.output = \"redis\"\n", redisUsers)
		p, c := d.serve(t), s.Client()
		require.Equal(t, 401, post(t, p.URL+"/oauth2/token", "nobody", "x", credentials("orders:read")).status)
		require.Equal(t, 400, login(t, p, "nobody", "wrong password").status)
		require.Equal(t, 400, post(t, p.URL+"/oauth2/token", "machine", d.machine, credentials("none:such")).status)
		d.token(t, p)
		events := func(stream string) string {
			found, err := c.XRange(t.Context(), "grantor:"+stream, "-", "+").Result()
			require.NoError(t, err)
			var b strings.Builder
			for _, m := range found {
				b.WriteString(m.Values["event"].(string) + "\n")
			}
			return b.String()
		}
		within(t, func() bool {
			return strings.Count(events("audit:strangers"), "token_refused") == 2 && strings.Count(events("audit"), "token_refused") == 1 && strings.Contains(events("audit"), "token_issued")
		})
		require.NotContains(t, events("audit"), "nobody")
		for _, stream := range []string{"audit", "audit:strangers"} {
			require.Positive(t, c.PTTL(t.Context(), "grantor:"+stream).Val())
		}
	})
}
