package server

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// TestTokenExchangeCost measures what docs/explain/design.md says of token exchange: commands of
// Redis for an exchange and for the check of an exchanged token, and bytes in Redis.
//
//	go test -run TestTokenExchangeCost -v ./server
func TestTokenExchangeCost(t *testing.T) {
	for _, format := range []string{"opaque", "JWT"} {
		t.Run(format, func(t *testing.T) {
			s := redistest.Start(t)
			db, err := redisdb.Open(redisdb.Config{URL: s.URL, Prefix: "grantor:"})
			require.NoError(t, err)
			t.Cleanup(func() { _ = db.Close() })
			changes := []func(*Config){func(c *Config) { c.Store = tokens.NewRedis(db) }}
			if format == "JWT" {
				changes = append(changes, withKeys(t))
			}
			f := startExchanges(t, changes...)
			user, _ := f.loggedIn(t, "&scope=orders:read")
			f.costs(t, s, "user", user, "mget")
			f.costs(t, s, "machine", f.issue(t, "&scope=orders:read"), "get")
		})
	}
}

// costs measures three exchanges, one after the other. read is the command that reads records.
func (f *fixture) costs(t *testing.T, s *redistest.Server, kind, token, read string) {
	t.Helper()
	reads := func(parents int) string { // of a check: the record, and those that it came from
		switch {
		case parents == 0:
			return read + " 1"
		case read == "mget":
			return "mget 2"
		}
		return fmt.Sprint("get ", 1+parents)
	}
	for i, service := range []string{"shop", "stock", "ledger"} {
		before := s.Client().Keys(t.Context(), "*").Val()
		var next string
		t.Run(fmt.Sprintf("TX-09 %s, exchange %d: the subject token's records are read, and one is written", kind, i+1), func(t *testing.T) {
			used := commandsOf(t, s, func() { next = f.exchanged(t, service, token, "") })
			require.Equal(t, reads(i)+", set 1", used)
			t.Logf("exchange: %s", used)
		})
		t.Run(fmt.Sprintf("TX-09 %s, check at depth %d: the records of the chain are read", kind, i+1), func(t *testing.T) {
			used := commandsOf(t, s, func() { f.requireActive(t, true, next) })
			require.Equal(t, reads(i+1), used)
			t.Logf("check: %s", used)
		})
		added := slices.DeleteFunc(s.Client().Keys(t.Context(), "*").Val(), func(k string) bool { return slices.Contains(before, k) })
		require.Len(t, added, 1)
		value, all := s.Client().StrLen(t.Context(), added[0]).Val(), s.Client().MemoryUsage(t.Context(), added[0]).Val()
		t.Logf("%s, depth %d: %d bytes of record, %d bytes in Redis", kind, i+1, value, all)
		require.Less(t, all, int64(512))
		token = next
	}
}

// commandsOf returns which commands Redis executed meanwhile, and how often each.
func commandsOf(t *testing.T, s *redistest.Server, do func()) string {
	t.Helper()
	require.NoError(t, s.Client().ConfigResetStat(t.Context()).Err())
	do()
	text, err := s.Client().Info(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	var list []string
	for _, m := range regexp.MustCompile(`cmdstat_([^:]+):calls=(\d+)`).FindAllStringSubmatch(text, -1) {
		if !slices.Contains([]string{"config|resetstat", "info", "ping"}, m[1]) {
			list = append(list, m[1]+" "+m[2])
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
