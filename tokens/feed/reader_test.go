package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

const (
	testLease = time.Second
	testHold  = testLease / 4
)

// testStream is a memory stream that counts reads, and can fail, be slow or not enabled.
type testStream struct {
	*Memory
	reads   atomic.Int64
	awaits  atomic.Int64
	mu      sync.Mutex
	broken  error
	slow    time.Duration
	foreign bool // not enabled
}

func (s *testStream) Read(ctx context.Context, after Position, most int) (*Page, error) {
	s.reads.Add(1)
	s.mu.Lock()
	broken, slow, foreign := s.broken, s.slow, s.foreign
	s.mu.Unlock()
	page, err := s.Memory.Read(ctx, after, most)
	time.Sleep(slow) // what comes now is not in the answer
	if broken != nil {
		return nil, broken
	}
	page.Enabled = !foreign
	return page, err
}

func (s *testStream) Await(ctx context.Context, after Position) error {
	s.awaits.Add(1)
	return s.Memory.Await(ctx, after)
}

func (s *testStream) set(change func(*testStream)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *testStream) end(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		require.NoError(t, s.Append(t.Context(), End{Names: []string{name}}))
	}
}

type bed struct {
	*Reader
	stream *testStream
	log    *strings.Builder
}

// inBubble runs a test with a running reader, in time that passes when all wait.
func inBubble(t *testing.T, run func(t *testing.T, b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bed{stream: &testStream{Memory: NewMemory(time.Now)}, log: &strings.Builder{}}
		var err error
		b.Reader, err = NewReader(b.stream, testLease, slog.New(slog.NewTextHandler(b.log, nil)))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { b.Run(ctx) })
		run(t, b)
		cancel()
		running.Wait()
	})
}

func (b *bed) poll(t *testing.T, after Position) *Batch {
	t.Helper()
	batch, err := b.Poll(t.Context(), after, testHold, nil)
	require.NoError(t, err)
	return batch
}

// at returns the end of the stream, as a poller learns it.
func (b *bed) at(t *testing.T) Position {
	t.Helper()
	for at := Position(""); ; {
		batch := b.poll(t, at)
		if at = batch.At; batch.Complete {
			return at
		}
	}
}

func TestPollIsHeld(t *testing.T) {
	t.Run("a poll is held for lease/4 when nothing is new", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			at, begun := b.at(t), time.Now()
			batch := b.poll(t, at)
			require.LessOrEqual(t, time.Since(begun), testHold)
			require.Greater(t, time.Since(begun), testHold-testLease/holdSteps)
			require.Equal(t, &Batch{At: at, Complete: true, text: batch.text}, batch)
		})
	})
	t.Run("a poll is answered at once when an end comes", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			at := b.at(t)
			time.AfterFunc(100*time.Millisecond, func() { b.stream.end(t, "n1") })
			begun := time.Now()
			batch := b.poll(t, at)
			require.LessOrEqual(t, time.Since(begun), 100*time.Millisecond+2*readApart)
			require.Equal(t, []string{"n1"}, batch.Names)
			require.True(t, batch.Complete)
			require.NotEqual(t, at, batch.At)
		})
	})
	t.Run("a poll from before the end is answered at once", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			at := b.at(t)
			b.stream.end(t, "n1", "n2")
			time.Sleep(time.Minute)
			begun := time.Now()
			require.Equal(t, []string{"n1", "n2"}, b.poll(t, at).Names)
			require.LessOrEqual(t, time.Since(begun), 2*readApart)
		})
	})
}

func TestCompleteIsCausal(t *testing.T) {
	t.Run("what ended before the poll came is in its complete answer", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			b.stream.set(func(s *testStream) { s.slow = 20 * time.Millisecond })
			at := b.at(t)
			for i := range 200 {
				time.Sleep(time.Duration(i%37) * time.Millisecond)
				name := fmt.Sprint("n", i)
				b.stream.end(t, name)
				batch := b.poll(t, at)
				require.Contains(t, batch.Names, name)
				at = batch.At
			}
		})
	})
	t.Run("no read that began before the poll answers it", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			at := b.at(t)
			b.stream.set(func(s *testStream) { s.slow = 3 * testLease })
			time.Sleep(2 * testLease / readsPerLease) // a slow read is under way, and found nothing
			b.stream.end(t, "n1")
			_, err := b.Poll(t.Context(), at, testHold, nil)
			require.ErrorIs(t, err, ErrSlow)
		})
	})
}

func TestReadsAreShared(t *testing.T) {
	t.Run("idle: one read at most every lease/8, for any number of pollers", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			at := b.at(t)
			before := b.stream.reads.Load()
			var all sync.WaitGroup
			for range 500 {
				all.Go(func() {
					for range 40 { // 10 s
						if batch, err := b.Poll(t.Context(), at, testHold, nil); err != nil || batch.At != at {
							t.Errorf("%v %v", batch, err)
						}
					}
				})
			}
			all.Wait()
			require.LessOrEqual(t, b.stream.reads.Load()-before, int64(10*readsPerLease+1))
		})
	})
	t.Run("a stream of ends: reads are at least 5 ms apart", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			at := b.at(t)
			before, begun := b.stream.reads.Load(), time.Now()
			for i := range 1000 {
				time.Sleep(time.Millisecond)
				b.stream.end(t, fmt.Sprint("n", i))
			}
			require.Len(t, b.poll(t, at).Names, 1000)
			require.LessOrEqual(t, b.stream.reads.Load()-before, int64(time.Since(begun)/readApart)+2)
		})
	})
	t.Run("a stream of ends, and many pollers: each is answered at most every lease/8, and the first end at once", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			first := b.at(t)
			begun, answers := time.Now(), atomic.Int64{}
			var all sync.WaitGroup
			for range 700 {
				all.Go(func() {
					for at := first; time.Since(begun) < 10*time.Second; answers.Add(1) {
						batch, err := b.Poll(t.Context(), at, testHold, nil)
						if err != nil {
							t.Error(err)
							return
						}
						if at == first && len(batch.Names) > 0 && time.Since(begun) > time.Second+2*readApart {
							t.Error(time.Since(begun))
						}
						at = batch.At
					}
				})
			}
			time.Sleep(time.Second)
			for range 800 {
				b.stream.end(t, "n")
				time.Sleep(10 * time.Millisecond)
			}
			all.Wait()
			require.LessOrEqual(t, answers.Load(), int64(700*10*(readsPerLease+1)))
		})
	})
	t.Run("nobody asks: nothing is read, and nothing awaited", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			time.Sleep(time.Hour)
			require.Zero(t, b.stream.reads.Load()+b.stream.awaits.Load())
			at := b.at(t)
			time.Sleep(linger + testLease)
			reads, awaits := b.stream.reads.Load(), b.stream.awaits.Load()
			for i := range 100 {
				b.stream.end(t, fmt.Sprint("n", i))
				time.Sleep(time.Minute)
			}
			require.Equal(t, reads, b.stream.reads.Load())
			require.Equal(t, awaits, b.stream.awaits.Load())
			require.Len(t, b.poll(t, at).Names, 100) // and goes on when somebody asks again
		})
	})
}

func TestOlderPages(t *testing.T) {
	t.Run("no after: all of the stream, in pages; the last is complete", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			const n = 3*maxPageEnds + 7
			for i := range n {
				b.stream.end(t, fmt.Sprint("n", i))
			}
			var names []string
			for at, i := Position(""), 0; ; i++ {
				batch := b.poll(t, at)
				require.Less(t, len(batch.Members()), 256<<10)
				names, at = append(names, batch.Names...), batch.At
				if batch.Complete {
					require.Equal(t, 3, i)
					break
				}
			}
			require.Len(t, names, n)
			require.Equal(t, []string{"n0", fmt.Sprint("n", n-1)}, []string{names[0], names[n-1]})
		})
	})
	t.Run("long names make shorter pages", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			for range maxPageEnds {
				b.stream.end(t, strings.Repeat("n", 100))
			}
			batch := b.poll(t, "")
			require.Less(t, len(batch.Members()), 256<<10)
			require.False(t, batch.Complete)
			require.Len(t, b.poll(t, batch.At).Names, len(batch.Names))
		})
	})
	t.Run("a thousand who begin at once cost a few reads", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			for i := range 5 * maxPageEnds {
				b.stream.end(t, fmt.Sprint("n", i))
			}
			var all sync.WaitGroup
			for range 1000 {
				all.Go(func() {
					n := 0
					for at := Position(""); ; {
						batch, err := b.Poll(t.Context(), at, testHold, nil)
						if err != nil {
							t.Error(err)
							return
						}
						n, at = n+len(batch.Names), batch.At
						if batch.Complete {
							break
						}
					}
					if n != 5*maxPageEnds {
						t.Error(n)
					}
				})
			}
			all.Wait()
			require.LessOrEqual(t, b.stream.reads.Load(), int64(50))
		})
	})
	t.Run("the position of another node's page, in the middle of one of ours", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			other, err := NewReader(b.stream, testLease, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go other.Run(ctx)
			at := b.at(t)
			b.stream.end(t, "n1")
			batch, err := other.Poll(t.Context(), at, testHold, nil)
			require.NoError(t, err)
			b.stream.end(t, "n2")
			require.Equal(t, []string{"n2"}, b.poll(t, batch.At).Names)
		})
	})
	t.Run("a position that this node has not read yet is not unknown", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			b.at(t)
			b.stream.set(func(s *testStream) { s.slow = 10 * time.Millisecond })
			b.stream.end(t, "n1")
			page, err := b.stream.Memory.Read(t.Context(), Last, 1)
			require.NoError(t, err)
			batch := b.poll(t, page.At)
			require.False(t, batch.Reset)
			require.Empty(t, batch.Names)
		})
	})
}

func TestReset(t *testing.T) {
	t.Run("a position that is gone keeps no request in memory", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			body := strings.Repeat("x", 60_000) + "1-0.AAAA"
			asked := Position(body[60_000:])
			require.True(t, b.poll(t, asked).Reset)
			kept := b.older.gone.Keys()
			require.Equal(t, []Position{asked}, kept)
			require.NotSame(t, unsafe.StringData(string(asked)), unsafe.StringData(string(kept[0])))
		})
	})
	t.Run("a position that the stream does not have: reset, from the first entry", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			b.stream.end(t, "n1", "n2")
			for range 2 { // it stays unknown
				batch := b.poll(t, "1-0.anotherplace")
				require.True(t, batch.Reset)
				require.True(t, batch.Complete)
				require.Equal(t, []string{"n1", "n2"}, batch.Names)
				require.Contains(t, string(batch.Members()), `"reset":true`)
			}
		})
	})
	t.Run("a long stream after a reset comes in pages that lead to its end", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			for i := range 2*maxPageEnds + 1 {
				b.stream.end(t, fmt.Sprint("n", i))
			}
			n, at, resets := 0, Position("1-0.anotherplace"), 0
			for complete := false; !complete; {
				batch := b.poll(t, at)
				n, at, complete = n+len(batch.Names), batch.At, batch.Complete
				if batch.Reset {
					resets++
				}
			}
			require.Equal(t, 2*maxPageEnds+1, n)
			require.Equal(t, 1, resets)
		})
	})
	t.Run("a failover that lost the tail: followers of the lost entries are told", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			b.stream.end(t, "n1")
			kept := b.at(t)
			b.stream.end(t, "lost")
			lost := b.at(t)
			m := b.stream.Memory
			m.mu.Lock()
			m.entries = m.entries[:len(m.entries)-1] // and the number comes again
			m.number--
			m.mu.Unlock()
			b.stream.end(t, "n2") // of the same number
			batch := b.poll(t, lost)
			require.True(t, batch.Reset)
			require.Equal(t, []string{"n1", "n2"}, batch.Names)
			batch = b.poll(t, kept)
			require.False(t, batch.Reset)
			require.Equal(t, []string{"n2"}, batch.Names)
		})
	})
}

func TestStoreThatFails(t *testing.T) {
	gone := errors.New("gone")
	inBubble(t, func(t *testing.T, b *bed) {
		at := b.at(t)
		b.stream.set(func(s *testStream) { s.broken = gone })
		for range 3 {
			_, err := b.Poll(t.Context(), at, testHold, nil)
			require.ErrorIs(t, err, gone)
			_, err = b.Poll(t.Context(), "", testHold, nil)
			require.ErrorIs(t, err, gone)
		}
		before := b.stream.reads.Load()
		for range 40 { // the window does not know the place, so each poll wants a read soon
			_, err := b.Poll(t.Context(), "1-0.anotherplace", testHold, nil)
			require.ErrorIs(t, err, gone)
		}
		require.LessOrEqual(t, b.stream.reads.Load()-before, int64(10*readsPerLease+1), "a store that fails is not asked more often")
		b.stream.end(t, "n1")
		b.stream.set(func(s *testStream) { s.broken = nil })
		require.Equal(t, []string{"n1"}, b.poll(t, at).Names)
		b.stream.set(func(s *testStream) { s.foreign = true })
		_, err := b.Poll(t.Context(), at, testHold, nil)
		require.ErrorIs(t, err, ErrNotEnabled)
		require.Equal(t, 1, strings.Count(b.log.String(), "level=ERROR"), b.log)
		require.Equal(t, 1, strings.Count(b.log.String(), "level=INFO"), b.log)
	})
}

func TestPollEnds(t *testing.T) {
	t.Run("hang-up and release end a poll at once, and no answer of theirs claims to be complete without a read", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bed) {
			at := b.at(t)
			b.stream.set(func(s *testStream) { s.slow = time.Minute })
			time.Sleep(testLease)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			begun := time.Now()
			batch, err := b.Poll(ctx, at, testHold, nil)
			require.NoError(t, err)
			require.Equal(t, time.Millisecond, time.Since(begun))
			require.Equal(t, []any{at, false}, []any{batch.At, batch.Complete})
			release := make(chan struct{})
			close(release)
			begun = time.Now()
			batch, err = b.Poll(t.Context(), at, testHold, release)
			require.NoError(t, err)
			require.Zero(t, time.Since(begun))
			require.False(t, batch.Complete)
		})
	})
	t.Run("the end of Run ends polls", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, err := NewReader(NewMemory(time.Now), time.Minute, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			go r.Run(ctx)
			first, err := r.Poll(ctx, "", time.Second, nil)
			require.NoError(t, err)
			time.AfterFunc(time.Millisecond, cancel)
			_, err = r.Poll(t.Context(), first.At, 10*time.Second, nil)
			require.ErrorIs(t, err, ErrClosed)
		})
	})
}
