package tokens_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// keyStore is the part of a store that keeps the server key.
type keyStore struct {
	tokens.Store
	mu     sync.Mutex
	key    *tokens.ServerKey
	away   error
	reads  int
	writes int
	mark   *markOnly
}

func newKeyStore() *keyStore { return &keyStore{mark: &markOnly{}} }

// Feed implements tokens.Store.
func (s *keyStore) Feed() feed.Stream { return s.mark }

// markOnly is what says that a feed is enabled.
type markOnly struct {
	feed.Stream
	set  atomic.Bool
	ends atomic.Int64 // that nobody can tell
}

func (m *markOnly) Append(_ context.Context, ends ...feed.End) error {
	for _, e := range ends {
		if len(e.Names) == 1 && e.Names[0] == feed.Nameless && !m.set.Load() {
			m.ends.Add(1)
		}
	}
	return nil
}

func (m *markOnly) Enable(context.Context) error          { m.set.Store(true); return nil }
func (m *markOnly) Enabled(context.Context) (bool, error) { return m.set.Load(), nil }

func (s *keyStore) ServerKey(context.Context) (tokens.ServerKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	switch {
	case s.away != nil:
		return tokens.ServerKey{}, s.away
	case s.key == nil:
		return tokens.ServerKey{}, tokens.ErrNotFound
	}
	return *s.key, nil
}

func (s *keyStore) KeepServerKey(_ context.Context, key tokens.ServerKey) (tokens.ServerKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.away != nil {
		return tokens.ServerKey{}, s.away
	}
	if s.key == nil {
		s.key = &key
	}
	return *s.key, nil
}

func (s *keyStore) set(key *tokens.ServerKey, away error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key, s.away = key, away
}

func (s *keyStore) wrote() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// running opens a holder and runs it until the test ends.
func running(t *testing.T, s *keyStore) *tokens.KeyHolder {
	t.Helper()
	h, err := tokens.OpenKey(t.Context(), s, tokens.KeyWait, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go h.Run(ctx)
	return h
}

func TestKeyHolder(t *testing.T) {
	t.Run("S-21 a store that came back empty gets the key of a node that holds it, before one that starts makes another", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newKeyStore()
			a, b := running(t, s), running(t, s)
			require.Equal(t, a.Codec().Key(), b.Codec().Key())
			key := a.Codec().Key()
			all := []*tokens.KeyHolder{a, b}
			for range 5 {
				s.set(nil, nil)
				fresh := running(t, s)
				all = append(all, fresh)
				require.Equal(t, key, fresh.Codec().Key())
				time.Sleep(time.Second)
				require.Equal(t, key, a.Codec().Key())
				require.Equal(t, key, b.Codec().Key())
			}
			told := uint64(0)
			for _, h := range all {
				told += h.Lost()
			}
			require.EqualValues(t, 5, told, "one of the nodes tells of it")
		})
	})
	t.Run("S-21 nodes that start on an empty store agree", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newKeyStore()
			found := make(chan tokens.ServerKey, 8)
			for range cap(found) {
				go func() {
					key, _ := tokens.ClaimServerKey(t.Context(), s, tokens.KeyWait)
					found <- key
				}()
			}
			first := <-found
			require.NotZero(t, first)
			for range cap(found) - 1 {
				require.Equal(t, first, <-found)
			}
		})
	})
	t.Run("S-21 a node that finds another key adopts it, in the codec that everybody holds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newKeyStore()
			h := running(t, s)
			codec := h.Codec()
			other := tokens.NewServerKey()
			text, _ := tokens.NewCodec(other).NewClientAccess()
			_, err := codec.Parse(text)
			require.ErrorIs(t, err, tokens.ErrNotOurs)
			s.set(&other, nil)
			require.NoError(t, h.Confirm(t.Context()))
			_, err = codec.Parse(text)
			require.NoError(t, err, "at once, where a request asks")
			again := tokens.NewServerKey()
			s.set(&again, nil)
			time.Sleep(time.Second)
			require.Equal(t, again, codec.Key())
		})
	})
	t.Run("S-20 while the store is away nothing is adopted, and who asks is not told \"not ours\"", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newKeyStore()
			h := running(t, s)
			key := h.Codec().Key()
			s.set(&key, errors.New("away"))
			time.Sleep(time.Minute)
			require.Error(t, h.Confirm(t.Context()))
			require.Equal(t, key, h.Codec().Key())
			s.set(nil, nil)
			time.Sleep(time.Second)
			require.NoError(t, h.Ready(t.Context()))
		})
	})
	t.Run("S-21 a probe writes nothing", func(t *testing.T) {
		s := newKeyStore()
		h, err := tokens.OpenKey(t.Context(), s, 0, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		writes := s.wrote()
		require.NoError(t, h.Ready(t.Context()))
		s.set(nil, nil)
		require.ErrorIs(t, h.Ready(t.Context()), tokens.ErrNoServerKey)
		require.Equal(t, writes, s.wrote())
	})
	t.Run("the feed is enabled where no node ever served, and by nobody else", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			fresh := newKeyStore()
			running(t, fresh)
			require.True(t, fresh.mark.set.Load())
			require.Zero(t, fresh.mark.ends.Load())

			key := tokens.NewServerKey()
			upgraded := newKeyStore()
			upgraded.key = &key
			running(t, upgraded)
			time.Sleep(time.Minute)
			require.False(t, upgraded.mark.set.Load(), "nodes that do not append may be there")
			upgraded.set(nil, nil)
			time.Sleep(time.Minute)
			require.False(t, upgraded.mark.set.Load(), "who puts a lost key back does not know more")
		})
	})
	t.Run("S-21 a node that knows that the feed is enabled puts that back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newKeyStore()
			first := running(t, s)
			s.mark.set.Store(false)
			s.set(nil, nil)
			require.NoError(t, first.Confirm(t.Context()))
			require.True(t, s.mark.set.Load(), "with the key")
			require.EqualValues(t, 1, s.mark.ends.Load(), "what had ended is lost: verifiers ask")

			late := running(t, s) // it finds the mark, and others put the key back
			s.mark.set.Store(false)
			time.Sleep(time.Minute)
			require.True(t, s.mark.set.Load())
			require.Zero(t, late.Lost())
		})
	})
	t.Run("the lifetime of the key is renewed at the start and once a day", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			key := tokens.NewServerKey()
			s := newKeyStore()
			s.key = &key
			running(t, s)
			time.Sleep(10*24*time.Hour + time.Hour)
			require.InDelta(t, 11, s.wrote(), 1)
		})
	})
}
