package tokens

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// BenchmarkRevoke measures what the name in the feed adds to a revocation. Batches without and with
// it take turns, so that whatever else the machine does meets both alike; each op is a batch of
// both. Reported are medians over the batches, and the ratios with/without of neighbouring batches:
// script is the script's time by Redis's own clock (usec_per_call of EVALSHA), redis all of Redis's
// CPU (INFO cpu: sockets, replication and the script), caller what one caller waits. replicas: how
// many must confirm it.
//
//	go test -run - -bench Revoke -benchtime 100x ./tokens
func BenchmarkRevoke(b *testing.B) {
	for _, replicas := range []int{0, 1} {
		b.Run(fmt.Sprintf("replicas=%d", replicas), func(b *testing.B) {
			r := newRevoking(b, replicas)
			var without, with []revokeCost
			for b.Loop() {
				if len(with)%2 == 0 {
					without = append(without, r.batch(b, false))
					with = append(with, r.batch(b, true))
				} else {
					with = append(with, r.batch(b, true))
					without = append(without, r.batch(b, false))
				}
			}
			for name, cost := range map[string]func(revokeCost) float64{
				"script": func(c revokeCost) float64 { return c.script },
				"redis":  func(c revokeCost) float64 { return c.redis },
				"caller": func(c revokeCost) float64 { return c.caller },
			} {
				b.ReportMetric(medianOf(len(with), func(i int) float64 { return cost(without[i]) }), name+"-µs/without")
				b.ReportMetric(medianOf(len(with), func(i int) float64 { return cost(with[i]) }), name+"-µs/with")
				b.ReportMetric(medianOf(len(with), func(i int) float64 { return cost(with[i]) / cost(without[i]) }), name+"-ratio")
			}
		})
	}
}

// revokeCost is the cost of one revocation, in microseconds: means of a batch, of caller its
// median.
type revokeCost struct{ script, redis, caller float64 }

type revoking struct {
	srv   *redistest.Server
	store *Redis
	codec *Codec
}

func newRevoking(b *testing.B, replicas int) *revoking {
	b.Helper()
	srv := redistest.Start(b)
	for range replicas {
		srv.AddReplica()
	}
	db, err := redisdb.Open(redisdb.Config{URL: srv.URL, Prefix: "grantor:", WaitReplicas: replicas, WaitTimeout: time.Second})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	return &revoking{srv, NewRedis(db), NewCodec(NewServerKey())}
}

// batch issues tokens and then revokes them, with their names in the feed or without.
func (r *revoking) batch(b *testing.B, with bool) revokeCost {
	b.Helper()
	var list []Token
	for range 200 {
		_, tok := r.codec.NewClientAccess()
		require.NoError(b, r.store.Issue(b.Context(), tok, &Record{ClientID: "app", IssuedAt: time.Now(), TTL: time.Hour}))
		list = append(list, tok)
	}
	require.NoError(b, r.srv.Client().ConfigResetStat(b.Context()).Err())
	before := r.stat(b, "cpu", "used_cpu_sys:") + r.stat(b, "cpu", "used_cpu_user:")
	took := make([]float64, len(list))
	for i, tok := range list {
		name := ""
		if with {
			name = tok.Name()
		}
		begun := time.Now()
		done, err := r.store.endBy(b.Context(), name, revokeClientToken, []string{clientTokenKey(tok)}, tok.Hash.secondHalf(), appendText(nil, "app"))
		took[i] = float64(time.Since(begun).Nanoseconds()) / 1000
		require.NoError(b, err)
		require.True(b, done)
	}
	spent := r.stat(b, "cpu", "used_cpu_sys:") + r.stat(b, "cpu", "used_cpu_user:") - before
	return revokeCost{r.stat(b, "commandstats", `cmdstat_evalsha:calls=\d+,usec=\d+,usec_per_call=`), spent * 1e6 / float64(len(list)),
		medianOf(len(took), func(i int) float64 { return took[i] })}
}

// stat returns the number behind a name in a section of INFO.
func (r *revoking) stat(b *testing.B, section, name string) float64 {
	b.Helper()
	text := r.srv.Client().Info(b.Context(), section).Val()
	found := regexp.MustCompile(name + `([\d.]+)`).FindStringSubmatch(text)
	require.Len(b, found, 2, text)
	v, err := strconv.ParseFloat(found[1], 64)
	require.NoError(b, err)
	return v
}

func medianOf(n int, value func(i int) float64) float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = value(i)
	}
	slices.Sort(list)
	return list[n/2]
}

// TestFeedMemory says what ends cost in Redis.
func TestFeedMemory(t *testing.T) {
	for what, name := range map[string]func() string{
		"sessions":      func() string { return feed.Session(NewSessionID()) },
		"access tokens": func() string { return drawID().String() },
		"users' JWTs":   func() string { return drawID().String() + drawID().String() },
	} {
		t.Run(what, func(t *testing.T) {
			srv := redistest.Start(t)
			db, err := redisdb.Open(redisdb.Config{URL: srv.URL})
			require.NoError(t, err)
			defer func() { require.NoError(t, db.Close()) }()
			stream := NewRedis(db).Feed()
			const ends = 10_000
			for range ends / 100 {
				list := make([]feed.End, 100)
				for i := range list {
					list[i].Names = []string{name()}
				}
				require.NoError(t, stream.Append(t.Context(), list...))
			}
			used := srv.Client().MemoryUsage(t.Context(), feed.StreamKey, 0).Val()
			t.Logf("%d ends of %s: %d bytes, %.1f each", ends, what, used, float64(used)/ends)
			require.Less(t, used, int64(100*ends))
		})
	}
}
