package registry

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func TestReadCursor(t *testing.T) {
	r := New(nil, "", 256)
	for text, good := range map[string]bool{"": true, "0.0": true, "ff.12": true, "100.0": false, "1": false, "1.": false,
		".1": false, "1.2x": false, "1.2 3": false, "1.2.3": false, "-1.2": false, "+1.2": false, "0x1.2": false,
		"1.18446744073709551616": false} {
		_, _, err := r.readCursor(text)
		require.Equal(t, good, err == nil, "%q", text)
	}
	_, _, err := New(nil, "", 64).readCursor("40.0")
	require.ErrorIs(t, err, ErrCursor)
}

// FuzzReadCursor: Redis is asked with a shard that exists and a number, and with nothing else.
func FuzzReadCursor(f *testing.F) {
	r := New(nil, "", 64)
	f.Fuzz(func(t *testing.T, text string) {
		shard, at, err := r.readCursor(text)
		if err != nil {
			require.ErrorIs(t, err, ErrCursor)
			return
		}
		require.Less(t, shard, uint64(64))
		shard2, at2, err := r.readCursor(fmt.Sprintf("%x.%s", shard, at))
		require.NoError(t, err)
		require.Equal(t, shard, shard2)
		require.Equal(t, at, at2)
	})
}

// set puts a text in the place of nothing, or of what is there.
var set = redisdb.NewScript(`return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])`)

func TestRecords(t *testing.T) {
	db, err := redisdb.Open(redisdb.Config{URL: redistest.Start(t).URL, Prefix: "test:"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	r, ctx := New(db, "thing:", 64), t.Context()
	for i := range 700 {
		id := fmt.Sprint("id-", i)
		_, err := db.Eval(ctx, set, []string{r.Key(id)}, id, fmt.Sprint("text ", i))
		require.NoError(t, err)
	}
	t.Run("a record is read by its id, and an unknown id is ErrUnknown", func(t *testing.T) {
		text, err := r.Read(ctx, "id-7")
		require.NoError(t, err)
		require.Equal(t, "text 7", text)
		_, err = r.Read(ctx, "id-700")
		require.ErrorIs(t, err, ErrUnknown)
		require.ErrorIs(t, r.Change(ctx, "id-700", nil), ErrUnknown)
	})
	t.Run("a change that others overtake each time ends", func(t *testing.T) {
		tries := 0
		err := r.Change(ctx, "id-7", func(string) (bool, error) { tries++; return false, nil })
		require.ErrorIs(t, err, ErrOvertaken)
		require.Equal(t, maxTries, tries)
	})
	t.Run("every record comes once, at once and by pages", func(t *testing.T) {
		all, pages := map[string]string{}, map[string]string{}
		for e, err := range r.All(ctx) {
			require.NoError(t, err)
			require.NotContains(t, all, e.ID)
			all[e.ID] = e.Text
		}
		for cursor := ""; ; {
			list, next, err := r.List(ctx, cursor, 50)
			require.NoError(t, err)
			for _, e := range list {
				pages[e.ID] = e.Text
			}
			if cursor = next; next == "" {
				break
			}
		}
		require.Len(t, all, 700)
		require.Equal(t, all, pages)
	})
}
