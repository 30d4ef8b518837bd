package growth_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/growth"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func TestSamples(t *testing.T) {
	srv := redistest.Start(t)
	db, err := redisdb.Open(redisdb.Config{URL: srv.URL, Prefix: "test:"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	now := time.Now().Unix() / 3600
	require.NoError(t, srv.Client().HSet(t.Context(), "test:memory", strconv.FormatInt(now-48, 10), "500", strconv.FormatInt(now-400, 10), "100").Err())
	require.NoError(t, growth.Note(t.Context(), db, 700))
	require.NoError(t, growth.Note(t.Context(), db, 900), "the first of an hour counts")
	list, err := growth.Samples(t.Context(), db)
	require.NoError(t, err)
	require.Len(t, list, 2, "a sample ends after a week")
	require.Equal(t, []int64{500, 700}, []int64{list[0].Used, list[1].Used})
	require.Positive(t, srv.Client().PTTL(t.Context(), "test:memory").Val(), "the samples have a lifetime")
}

func TestPerDay(t *testing.T) {
	for name, c := range map[string]struct {
		list        []growth.Sample
		bytes, days int64
	}{
		"nothing":                               {nil, 0, 0},
		"less than a day":                       {[]growth.Sample{{100, 1}, {123, 9}}, 0, 0},
		"a day":                                 {[]growth.Sample{{100, 1000}, {112, 9000}, {124, 1500}}, 500, 1},
		"two days, at the same hour of the day": {[]growth.Sample{{99, 7}, {100, 1000}, {124, 1500}, {148, 1400}}, 200, 2},
		"it shrinks":                            {[]growth.Sample{{100, 1000}, {124, 400}}, -600, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bytes, days := growth.PerDay(c.list)
			require.Equal(t, []int64{c.bytes, c.days}, []int64{bytes, days})
		})
	}
}
