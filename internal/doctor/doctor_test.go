package doctor_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/doctor"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// startRedis runs a Redis with the settings of docs/operate/redis.md.
func startRedis(t *testing.T, more ...string) *redistest.Server {
	t.Helper()
	return redistest.New(t, redistest.Options{Args: append([]string{"--appendonly", "yes", "--maxmemory", "256mb", "--maxmemory-policy", "noeviction"}, more...)})
}

// unserved is what is not ok before a start: nobody serves the issuer yet.
func unserved() []string {
	return []string{"warning issuer.reachable", "unknown issuer.metadata", "unknown keys.published"}
}

// beside returns findings, and those of unserved. While a node says that it serves, an issuer that
// nobody serves is a fault.
func beside(found []string) []string {
	list := append(unserved(), found...)
	if slices.Contains(found, "fault issuer.reachable") {
		list = list[1:]
	}
	return list
}

func TestSound(t *testing.T) {
	srv := startRedis(t)
	d := sound(t, srv.URL)
	t.Run("before a start, only the issuer is not served yet", func(t *testing.T) {
		r := d.run()
		require.Equal(t, unserved(), notable(r), "%v", r.Findings)
		require.True(t, r.OK)
	})
	t.Run("it changes nothing in Redis", func(t *testing.T) {
		before := written(t, srv)
		d.run()
		require.Equal(t, before, written(t, srv))
	})
	t.Run("beside a node, everything is ok", func(t *testing.T) {
		d.serve()
		var r doctor.Report
		require.Eventually(t, func() bool { r = d.run(); return len(notable(r)) == 0 && listed(r) }, 20e9, 1e8, "the node writes itself down")
		require.Empty(t, notable(r))
		for _, c := range doctor.Checks() {
			if len(of(r, c.ID)) == 0 {
				require.Contains(t, []string{"tls.client_ca", "redis.cluster", "redis.sentinels", "redis.certificate", "issuer.mtls", "issuers.keys", "users.login", "users.scope", "users.directory"}, c.ID, "it does not concern this configuration")
			}
		}
		require.Contains(t, of(r, "redis.replicas")[0].Text, "one server alone")
		require.Contains(t, of(r, "nodes.configuration")[0].Text, "1 nodes hold")
		require.Contains(t, of(r, "keys.schedule")[0].Text, "the next rotation is at")
	})
}

// listed says whether a node has written itself down.
func listed(r doctor.Report) bool {
	return strings.Contains(of(r, "nodes.ready")[0].Text, "1 nodes are ready")
}

func TestSoundUsers(t *testing.T) {
	d := sound(t, startRedis(t).URL)
	d.withUsers()
	d.serve()
	var r doctor.Report
	require.Eventually(t, func() bool { r = d.run(); return len(notable(r)) == 1 && listed(r) }, 20e9, 1e8, "the node writes itself down")
	require.Equal(t, []string{"warning config.warnings"}, notable(r))
	require.Contains(t, of(r, "config.warnings")[0].Text, "the password grant is on")
}

// written counts the changes in a Redis since its start.
func written(t *testing.T, srv *redistest.Server) string {
	t.Helper()
	info, err := srv.Client().Info(t.Context(), "persistence").Result()
	require.NoError(t, err)
	_, rest, _ := strings.Cut(info, "rdb_changes_since_last_save:")
	count, _, _ := strings.Cut(rest, "\r")
	return count
}

// TestTable: the table of the page is that of the code.
func TestTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/operate/doctor.md")
	require.NoError(t, err)
	var table strings.Builder
	table.WriteString("| check | looks at | fault | warning |\n|---|---|---|---|\n")
	seen := map[string]bool{}
	for _, c := range doctor.Checks() {
		require.False(t, seen[c.ID], "%s is twice", c.ID)
		seen[c.ID] = true
		table.WriteString("| `" + c.ID + "` | " + c.Looks + " | " + c.Fault + " | " + c.Warning + " |\n")
	}
	require.Contains(t, string(page), table.String(), "put this into docs/operate/doctor.md:\n%s", table.String())
}

// TestEveryCheckIsPlanted: for each level that a check can have, a test plants something and looks
// for it.
func TestEveryCheckIsPlanted(t *testing.T) {
	var source strings.Builder
	for _, name := range []string{"faults_test.go", "redis_test.go", "servers_test.go", "issuer_test.go", "issuers_test.go"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		source.Write(text)
	}
	for _, c := range doctor.Checks() {
		if c.Fault != "" {
			require.True(t, strings.Contains(source.String(), `"`+c.ID+`", doctor.Fault`), "no fault of %s is planted", c.ID)
		}
		if c.Warning != "" && c.ID != "redis.role" { // nobody has such an old Redis here
			require.True(t, strings.Contains(source.String(), `"`+c.ID+`", doctor.Warning`), "no warning of %s is planted", c.ID)
		}
	}
}
