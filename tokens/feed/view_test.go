package feed

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testRegistry notes what it is told.
type testRegistry struct {
	mu        sync.Mutex
	changed   []string
	all       int
	refreshes atomic.Int64
	broken    atomic.Bool
	stream    *testStream // nil: last is not noted
	last      string      // the last entry when Refresh was called last
}

func (r *testRegistry) Changed(ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed = append(r.changed, ids...)
}

func (r *testRegistry) ChangedAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all++
}

func (r *testRegistry) Refresh(context.Context) error {
	r.refreshes.Add(1)
	if r.stream != nil {
		page, err := r.stream.Memory.Read(context.Background(), Last, 1)
		if err != nil {
			return err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.last = string(page.At)
	}
	if r.broken.Load() {
		return errors.New("no answer")
	}
	return nil
}

// told returns what the registry was told since the last call.
func (r *testRegistry) told() (changed []string, all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed, all = r.changed, r.all
	r.changed, r.all = nil, 0
	return changed, all
}

func applied(t *testing.T, v *View) Position {
	t.Helper()
	at, err := v.Applied(t.Context())
	require.NoError(t, err)
	return at
}

// number is that of an entry of a memory stream.
func number(t *testing.T, at string) int {
	t.Helper()
	n, err := strconv.Atoi(at[:strings.IndexByte(at, '-')])
	require.NoError(t, err)
	return n
}

func TestApplied(t *testing.T) {
	t.Run("the registry is told of all at first, and then of each client that changed, before the position moves", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			r := &testRegistry{}
			v := b.View(r)
			first := applied(t, v)
			require.Equal(t, b.at(t), first)
			_, all := r.told()
			require.Equal(t, 1, all)
			require.NoError(t, b.stream.Append(t.Context(), End{Names: []string{"n"}, Client: "a"}, End{Client: "b"}))
			b.poll(t, first) // the reader has seen it
			time.Sleep(3 * testLease / readsPerLease)
			refreshes := r.refreshes.Load()
			require.NotEqual(t, first, applied(t, v))
			changed, all := r.told()
			require.Equal(t, []string{"a", "b"}, changed)
			require.Zero(t, all)
			require.GreaterOrEqual(t, refreshes, int64(2), "epochs are asked for before the position moves")
		})
	})
	t.Run("what is applied rests on reads that are no older than a lease", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			v := b.View(&testRegistry{})
			for i := range 100 {
				time.Sleep(time.Duration(i%40) * time.Second) // at times longer than the reader reads
				b.stream.end(t, "n")
				time.Sleep(testLease)
				at := applied(t, v)
				page, err := b.stream.Memory.Read(t.Context(), Last, 1)
				require.NoError(t, err)
				require.Equal(t, page.At, at, "it ended a lease ago")
			}
		})
	})
	t.Run("while names end one after the other, epochs are asked for at most every lease/8", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			r := &testRegistry{stream: b.stream}
			v := b.View(r)
			applied(t, v)
			before := r.refreshes.Load()
			for range 1000 {
				time.Sleep(10 * time.Millisecond)
				b.stream.end(t, "n")
				at := number(t, string(applied(t, v)))
				r.mu.Lock()
				require.LessOrEqual(t, at, number(t, r.last), "the position waits for the epochs")
				r.mu.Unlock()
			}
			require.LessOrEqual(t, r.refreshes.Load()-before, int64(10*readsPerLease+2))
		})
	})
	t.Run("epochs that cannot be had: an error within a lease, until they can", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			r := &testRegistry{}
			v := b.View(r)
			at := applied(t, v)
			r.broken.Store(true)
			time.Sleep(2 * testLease)
			begun := time.Now()
			_, err := v.Applied(t.Context())
			require.ErrorIs(t, err, ErrSlow)
			require.LessOrEqual(t, time.Since(begun), testLease)
			r.broken.Store(false)
			require.Equal(t, at, applied(t, v))
		})
	})
	t.Run("a store that does not answer: its error", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			v := b.View(&testRegistry{})
			gone := errors.New("gone")
			b.stream.set(func(s *testStream) { s.broken = gone })
			_, err := v.Applied(t.Context())
			require.ErrorIs(t, err, gone)
		})
	})
	t.Run("a reset tells the registry of all; a View that is closed is told of nothing", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			r, closed := &testRegistry{}, &testRegistry{}
			v, w := b.View(r), b.View(closed)
			applied(t, v)
			applied(t, w)
			r.told()
			closed.told()
			w.Close()
			b.stream.Memory.mu.Lock()
			b.stream.Memory.entries = nil
			b.stream.Memory.add(End{})
			b.stream.Memory.mu.Unlock()
			time.Sleep(2 * testLease)
			_, all := r.told()
			require.Equal(t, 1, all)
			_, all = closed.told()
			require.Zero(t, all)
		})
	})
	t.Run("not enabled: no position, and no error", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			b.stream.set(func(s *testStream) { s.foreign = true })
			require.Empty(t, applied(t, b.View(&testRegistry{})))
		})
	})
	t.Run("too many changes are told as all", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			r := &testRegistry{}
			v := b.View(r)
			applied(t, v)
			r.told()
			list := make([]End, maxChanged+1)
			for i := range list {
				list[i].Client = "c"
			}
			require.NoError(t, b.stream.Append(t.Context(), list...))
			time.Sleep(testLease)
			changed, all := r.told()
			require.Empty(t, changed)
			require.Equal(t, 1, all)
		})
	})
}
