package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

var quiet = slog.New(slog.DiscardHandler)

func TestTrail(t *testing.T) {
	t.Run("S-31 S-33 one event is one line of visible JSON, whatever is in it", func(t *testing.T) {
		var out bytes.Buffer
		sink := audit.NewWriter(&out)
		trail := audit.New(sink, quiet, nil)
		trail.Record(t.Context(), audit.Event{Event: audit.TokenRefused, Client: "a\r\nb\x1b[0m\"}\u202e\x7f", Reason: "wrong_secret", RequestID: "X"})
		sink.Close()
		require.Equal(t, 1, bytes.Count(out.Bytes(), []byte("\n")))
		var e audit.Event
		require.NoError(t, json.Unmarshal(out.Bytes(), &e))
		require.Equal(t, "a\r\nb\x1b[0m\"}\u202e\x7f", e.Client)
		require.NotContains(t, out.String(), "\u202e")
		require.NotContains(t, out.String(), "\x7f")
		require.WithinDuration(t, time.Now(), e.Time, time.Minute)
	})
	t.Run("a line is not used again before it is written, nor is one that found no room", func(t *testing.T) {
		r, w := io.Pipe()
		sink := audit.NewWriter(w)
		taken := 0
		trail := audit.New(sink, quiet, func(_ string, lost bool) {
			if !lost {
				taken++
			}
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 40_000 { // more than wait at once
				trail.Record(t.Context(), audit.Event{Event: "x", RequestID: strconv.Itoa(i), Detail: strings.Repeat(strconv.Itoa(i)+" ", i%7+1)})
			}
			sink.Close()
			_ = w.Close()
		}()
		read, last := 0, -1
		for d := json.NewDecoder(r); ; read++ {
			var e audit.Event
			err := d.Decode(&e)
			if err == io.EOF { //nolint:errorlint // the very value
				break
			}
			require.NoError(t, err)
			n, err := strconv.Atoi(e.RequestID)
			require.NoError(t, err)
			require.Greater(t, n, last)
			require.Equal(t, strings.Repeat(e.RequestID+" ", n%7+1), e.Detail)
			last = n
		}
		<-done
		require.Equal(t, taken, read)
	})
	t.Run("a nil trail records nothing", func(t *testing.T) {
		var none *audit.Trail
		none.Record(t.Context(), audit.Event{Event: "x"})
	})
	t.Run("what cannot be written is counted", func(t *testing.T) {
		var mu sync.Mutex
		dropped := 0
		sink := audit.NewWriter(broken{})
		trail := audit.New(sink, quiet, func(_ string, lost bool) {
			mu.Lock()
			defer mu.Unlock()
			if lost {
				dropped++
			}
		})
		require.Eventually(t, func() bool {
			trail.Record(t.Context(), audit.Event{Event: "x"})
			mu.Lock()
			defer mu.Unlock()
			return dropped > 0
		}, 5*time.Second, time.Millisecond)
		sink.Close()
	})
	t.Run("nobody waits for a sink that is stuck", func(t *testing.T) {
		r, w := io.Pipe()
		sink := audit.NewWriter(w)
		dropped := 0
		trail := audit.New(sink, quiet, func(_ string, lost bool) {
			if lost {
				dropped++
			}
		})
		for range 20_000 {
			trail.Record(t.Context(), audit.Event{Event: "x"})
		}
		require.Positive(t, dropped)
		require.NoError(t, r.Close())
		sink.Close()
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestRedisSink(t *testing.T) {
	srv := redistest.Start(t)
	db, err := redisdb.Open(redisdb.Config{URL: srv.URL, Prefix: "test:"})
	require.NoError(t, err)
	defer db.Close() //nolint:errcheck // the test is over
	sink := audit.NewRedis(db)
	trail := audit.New(sink, quiet, nil)
	for range 1000 {
		trail.Record(t.Context(), audit.Event{Event: audit.TokenIssued, Client: "app"})
	}
	sink.Close()
	n, err := srv.Client().XLen(t.Context(), "test:audit").Result()
	require.NoError(t, err)
	require.EqualValues(t, 1000, n)
	require.Greater(t, srv.Client().PTTL(t.Context(), "test:audit").Val(), 89*24*time.Hour)
}

func TestRedisSinkUnderFlood(t *testing.T) {
	t.Run("S-33 S-64 a flood of refusals of strangers pushes no other event out, and what Redis keeps is bounded", func(t *testing.T) {
		srv := redistest.Start(t)
		db, err := redisdb.Open(redisdb.Config{URL: srv.URL, Prefix: "test:"})
		require.NoError(t, err)
		defer db.Close() //nolint:errcheck // the test is over
		c := srv.Client()
		old := strconv.FormatInt(time.Now().Add(-91*24*time.Hour).UnixMilli(), 10)
		for i := range 300 { // whole nodes of the stream go
			require.NoError(t, c.Do(t.Context(), "xadd", "test:audit", old+"-"+strconv.Itoa(i), "event", "{}").Err())
		}
		sink, dropped := audit.NewRedis(db), 0
		trail := audit.New(sink, quiet, func(event string, lost bool) {
			if lost && event != audit.TokenRefused {
				dropped++
			}
		})
		for i := range 120_000 {
			trail.Record(t.Context(), audit.Event{Event: audit.TokenRefused, Reason: "unknown_client", Client: "x", Unauthenticated: true})
			if i%1000 == 0 {
				trail.Record(t.Context(), audit.Event{Event: audit.ReuseDetected, Actor: "app"})
			}
		}
		sink.Close()
		require.Zero(t, dropped)
		real, err := c.XRange(t.Context(), "test:audit", "-", "+").Result()
		require.NoError(t, err)
		recent := 0
		for _, m := range real {
			require.NotContains(t, m.Values["event"], "unknown_client")
			recent += strings.Count(m.Values["event"].(string), audit.ReuseDetected)
		}
		require.Equal(t, 120, recent)
		require.Less(t, len(real), 420, "events of more than 90 days are gone")
		refused, err := c.XLen(t.Context(), "test:audit:strangers").Result()
		require.NoError(t, err)
		require.Positive(t, refused)
		require.Less(t, refused, int64(20_200))
		require.Greater(t, c.PTTL(t.Context(), "test:audit:strangers").Val(), 89*24*time.Hour)
	})
}
