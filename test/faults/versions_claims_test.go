package faults_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestClaimsAndAnOlderVersion: while an older node serves, a new one issues tokens with claims.
func TestClaimsAndAnOlderVersion(t *testing.T) {
	redistest.Need(t)
	for _, rev := range olderRevisions() {
		older := olderProgram(t, rev)
		t.Run("S-65 an older version says all of a token with custom claims but the claims, and ends it ("+rev+")", func(t *testing.T) {
			d := deploy(t, single(redistest.Start(t).Addr))
			v := &versions{d: d, earlier: d.forOlder(t), caller: newCaller(d)}
			claimed(t, d.config)
			v.old, v.now = v.earlier.serveBy(t, older), d.serve(t)
			said := regexp.MustCompile(`,"(tenant_id|role)":"[^"]*"`)
			machine := v.ok(t, v.issue(t.Context(), v.now, "machine-0")).Access
			login := v.ok(t, v.login(t.Context(), v.now, "user-1"))
			for owner, token := range map[string]string{"machine-0": machine, "app": login.Access} {
				now := v.ok(t, v.introspect(t.Context(), v.now, token)).body
				require.Contains(t, now, `"tenant_id":"t-7"`)
				require.Equal(t, withoutNames(said.ReplaceAllString(now, "")), withoutNames(v.ok(t, v.introspect(t.Context(), v.old, token)).body))
				v.ok(t, v.revoke(t.Context(), v.old, owner, token))
				for _, n := range []*node{v.old, v.now} {
					require.Equal(t, `{"active":false}`, v.ok(t, v.introspect(t.Context(), n, token)).body)
				}
			}
			refreshed := v.ok(t, v.refresh(t.Context(), v.old, login.Refresh))
			require.NotContains(t, v.ok(t, v.introspect(t.Context(), v.now, refreshed.Access)).body, "tenant_id", "an older version issues without claims")
			again := v.ok(t, v.refresh(t.Context(), v.now, refreshed.Refresh))
			require.Contains(t, v.ok(t, v.introspect(t.Context(), v.now, again.Access)).body, `"role":"editor"`)
		})
	}
}

// claimed gives claims to the clients and the first user of a configuration.
func claimed(t *testing.T, config string) {
	t.Helper()
	b, err := os.ReadFile(config)
	require.NoError(t, err)
	text := string(b)
	for entry, claims := range map[string]string{`client_id = "machine-0"`: `claims = { tenant_id = "t-7" }`,
		`client_id = "app"`: `claims = { tenant_id = "t-7" }`, `id = "u-1"`: `claims = { role = "editor" }`} {
		require.Contains(t, text, "\n"+entry+"\n")
		text = strings.Replace(text, "\n"+entry+"\n", "\n"+entry+"\n"+claims+"\n", 1)
	}
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
}
