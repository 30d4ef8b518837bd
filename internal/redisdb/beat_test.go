package redisdb_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// ago sets when the deployment last beat, by Redis's clock.
func ago(t *testing.T, s *redistest.Server, d time.Duration) {
	t.Helper()
	require.Eventually(t, func() bool { // after a restart it reads its file first
		now, err := s.Client().Time(t.Context()).Result()
		return err == nil && s.Client().HSet(t.Context(), "beat:{registry}", "at", now.Add(-d).UnixMilli()).Err() == nil
	}, recovery, time.Millisecond)
}

func TestBeatOutage(t *testing.T) {
	s := redistest.Start(t)
	ctx := t.Context()
	node := func() *redisdb.Beat { return redisdb.NewBeat(open(t, redisdb.Config{URL: s.URL})) }
	a := node()
	require.True(t, a.Confirmed().IsZero())
	before := time.Now()
	require.NoError(t, a.Once(ctx))
	require.WithinRange(t, a.Confirmed(), before, time.Now())
	length, returned := a.Outage()
	require.Zero(t, length, "the first beat of a deployment tells of no outage")
	require.True(t, returned.IsZero())

	ago(t, s, time.Minute)
	began := time.Now()
	require.NoError(t, a.Once(ctx))
	length, returned = a.Outage()
	require.InDelta(t, time.Minute.Seconds(), length.Seconds(), 5)
	require.WithinRange(t, returned, began.Add(-time.Second), time.Now().Add(time.Second))

	b := node()
	require.NoError(t, b.Once(ctx))
	again, _ := b.Outage()
	require.InDelta(t, length.Seconds(), again.Seconds(), 0.1, "a node that came later knows of it too")

	ago(t, s, 2*time.Minute)
	require.NoError(t, b.Once(ctx))
	length, _ = b.Outage()
	require.InDelta(t, 2*time.Minute.Seconds(), length.Seconds(), 10, "two with little between them are one")
	require.Positive(t, s.Client().PTTL(ctx, "beat:{registry}").Val(), "it has a lifetime")
}

func TestBeatAway(t *testing.T) {
	s := redistest.New(t, redistest.Options{AppendOnly: true})
	beat := redisdb.NewBeat(open(t, redisdb.Config{URL: s.URL}))
	require.NoError(t, beat.Once(t.Context()))
	first := beat.Confirmed()
	s.Stop()
	require.ErrorIs(t, beat.Once(t.Context()), redisdb.ErrUnavailable)
	require.Equal(t, first, beat.Confirmed(), "what Redis did not take confirms nothing")
	s.Restart()
	ago(t, s, time.Minute)
	require.Eventually(t, func() bool { return beat.Once(t.Context()) == nil }, recovery, 5*time.Millisecond)
	length, _ := beat.Outage()
	require.Greater(t, length, 50*time.Second)
}
