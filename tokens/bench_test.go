package tokens_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// BenchmarkRotate measures what a rotation costs Redis itself, by its own clock: redis-µs/op is
// usec_per_call of EVALSHA.
//
//	go test -run - -bench Rotate ./tokens
func BenchmarkRotate(b *testing.B) {
	s := redistest.Start(b)
	db, err := redisdb.Open(redisdb.Config{URL: s.URL, Prefix: "grantor:"})
	require.NoError(b, err)
	defer func() { _ = db.Close() }()
	node := tokens.NewRedis(db)
	key, err := tokens.ClaimServerKey(b.Context(), node, 0)
	require.NoError(b, err)
	d := &skewed{codec: tokens.NewCodec(key)}
	c := d.benchLogin(b, node)
	response := []byte(strings.Repeat("b", 330))
	for _, window := range []time.Duration{time.Minute, 0} {
		b.Run(fmt.Sprintf("window=%s", window), func(b *testing.B) {
			require.NoError(b, s.Client().ConfigResetStat(b.Context()).Err())
			for b.Loop() {
				r := c.rotation(node, c.refresh)
				r.RetryResponse, r.RetryWindow = response, window
				_, err := node.Rotate(b.Context(), r)
				require.NoError(b, err)
				c.refresh = r.New
			}
			stats, err := s.Client().Info(b.Context(), "commandstats").Result()
			require.NoError(b, err)
			found := regexp.MustCompile(`cmdstat_evalsha:calls=\d+,usec=\d+,usec_per_call=([\d.]+)`).FindStringSubmatch(stats)
			require.Len(b, found, 2, stats)
			each, err := strconv.ParseFloat(found[1], 64)
			require.NoError(b, err)
			b.ReportMetric(each, "redis-µs/op")
		})
	}
}

func (d *skewed) benchLogin(b *testing.B, node tokens.Store) *chain {
	c := &chain{skewed: d, session: tokens.NewSessionID(), tag: d.codec.Tag("u-1")}
	_, c.access = d.codec.NewUserAccess(c.tag, c.session)
	_, c.refresh = d.codec.NewRefresh(c.tag, c.session, 0)
	epoch, err := node.UserEpoch(b.Context(), c.tag, time.Hour)
	require.NoError(b, err)
	require.NoError(b, started(node.StartSession(b.Context(), &tokens.SessionStart{Refresh: c.refresh, Access: c.access, Record: issuedNow(node),
		IdleTTL: time.Hour, MaxTTL: time.Hour, EpochTTL: 2 * time.Hour,
		Session: tokens.Session{Tag: c.tag, ID: c.session, ClientID: "app", UserEpoch: epoch, Subject: "0190-user-1", Username: "alice@example.com",
			Scope: "orders:read orders:write", Audience: []string{"https://orders.example.com"}}})))
	return c
}
