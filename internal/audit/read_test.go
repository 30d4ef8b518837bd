package audit_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestReaders: both readers show the newest events first, page by page, each once.
func TestReaders(t *testing.T) {
	db, err := redisdb.Open(redisdb.Config{URL: redistest.Start(t).URL, Prefix: "test:"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	recent := &audit.Recent{}
	sink := audit.NewWriter(discard{})
	sink.Keep(recent)
	for name, one := range map[string]struct {
		sink   *audit.Sink
		reader audit.Reader
	}{"in memory": {sink, recent}, "Redis": {audit.NewRedis(db), audit.NewRedisReader(db)}} {
		t.Run(name, func(t *testing.T) {
			const events = 700 // more than a chunk of each stream
			trail := audit.New(one.sink, slog.New(slog.DiscardHandler), nil)
			begun := time.Now().UTC()
			for i := range events {
				trail.Record(t.Context(), audit.Event{Time: begun.Add(time.Duration(i) * time.Millisecond), Event: audit.ClientChanged,
					Client: fmt.Sprint(i % 3), Detail: fmt.Sprint(i), Unauthenticated: i%2 == 0})
			}
			one.sink.Close()
			var seen []string
			for cursor, first := "", true; first || cursor != ""; first = false {
				list, next, err := one.reader.Latest(t.Context(), audit.Filter{}, cursor, 64)
				require.NoError(t, err)
				require.LessOrEqual(t, len(list), 64)
				for _, e := range list {
					seen = append(seen, e.Detail)
				}
				cursor = next
			}
			require.Len(t, seen, events)
			for i, detail := range seen {
				require.Equal(t, fmt.Sprint(events-1-i), detail)
			}
			list, _, err := one.reader.Latest(t.Context(), audit.Filter{Client: "1", Event: audit.ClientChanged}, "", 10)
			require.NoError(t, err)
			require.Len(t, list, 10)
			require.Equal(t, "1", list[9].Client)
			none, next, err := one.reader.Latest(t.Context(), audit.Filter{Reason: "none"}, "", 10)
			require.NoError(t, err)
			require.Empty(t, none)
			require.Empty(t, next)
		})
	}
	t.Run("a text that is no cursor", func(t *testing.T) {
		for _, cursor := range []string{"x", "_", "1", "(1-1_+", "1-1_1-1 COUNT"} {
			_, _, err := audit.NewRedisReader(db).Latest(t.Context(), audit.Filter{}, cursor, 10)
			require.ErrorIs(t, err, audit.ErrCursor, cursor)
		}
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
