package tokens_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// away is a store that can be out of reach. What it is told then is done, or not, as an answer that
// is lost leaves open.
type away struct {
	tokens.Store
	gone, does atomic.Bool
	asked      atomic.Int64
	bad        atomic.Pointer[tokens.Token] // nobody can revoke it
}

var errAway = errors.New("away")

func (a *away) Revoke(ctx context.Context, t tokens.Token, clientID string) (bool, error) {
	a.asked.Add(1)
	if bad := a.bad.Load(); bad != nil && *bad == t {
		return false, tokens.ErrRecord
	}
	if !a.gone.Load() || a.does.Load() {
		ended, err := a.Store.Revoke(ctx, t, clientID)
		if !a.gone.Load() {
			return ended, err
		}
	}
	return false, errAway
}

func (a *away) EndSession(ctx context.Context, tag tokens.Tag, id tokens.SessionID) (bool, error) {
	a.asked.Add(1)
	if a.gone.Load() {
		return false, errAway
	}
	return a.Store.EndSession(ctx, tag, id)
}

func (a *away) EndUserOnce(ctx context.Context, tag tokens.Tag, call tokens.Call) error {
	return a.whenThere(func() error { return a.Store.EndUserOnce(ctx, tag, call) })
}

func (a *away) DisableClient(ctx context.Context, id string, e tokens.Epoch) error {
	return a.whenThere(func() error { return a.Store.DisableClient(ctx, id, e) })
}

// whenThere does a thing unless the store is gone, or does it and loses the answer.
func (a *away) whenThere(do func() error) error {
	a.asked.Add(1)
	if !a.gone.Load() || a.does.Load() {
		if err := do(); !a.gone.Load() {
			return err
		}
	}
	return errAway
}

func TestPending(t *testing.T) {
	start := func(t *testing.T) (*away, *tokens.Pending, *tokens.Codec) {
		m := tokens.NewMemory(0)
		a := &away{Store: m}
		p := tokens.NewPending(a)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-done; _ = m.Close() })
		return a, p, tokens.NewCodec(tokens.NewServerKey())
	}
	record := func() *tokens.Record {
		return &tokens.Record{ClientID: "app", Scope: "a", IssuedAt: time.Now(), TTL: time.Hour}
	}
	t.Run("S-22 V-13 a revocation that was answered 503 is done once the store is back, without being asked for again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, p, codec := start(t)
			_, mine := codec.NewClientAccess()
			_, other := codec.NewClientAccess()
			require.NoError(t, p.Issue(t.Context(), mine, record()))
			require.NoError(t, p.Issue(t.Context(), other, record()))
			a.gone.Store(true)
			_, err := p.Revoke(t.Context(), mine, "app")
			require.ErrorIs(t, err, errAway)
			time.Sleep(10 * time.Second)
			require.Equal(t, 1, p.Len())
			_, err = p.Load(t.Context(), mine)
			require.NoError(t, err, "nothing was done while the store was away")
			a.gone.Store(false)
			time.Sleep(2 * time.Second)
			require.Zero(t, p.Len())
			_, err = p.Load(t.Context(), mine)
			require.ErrorIs(t, err, tokens.ErrNotFound)
			_, err = p.Load(t.Context(), other)
			require.NoError(t, err)
			before := a.asked.Load()
			time.Sleep(time.Minute)
			require.Equal(t, before, a.asked.Load(), "it is asked for once more and not for ever")
		})
	})
	t.Run("RV-08 it is still the client's that asked: another's token stays active", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, p, codec := start(t)
			_, token := codec.NewClientAccess()
			require.NoError(t, p.Issue(t.Context(), token, record()))
			a.gone.Store(true)
			_, err := p.Revoke(t.Context(), token, "stranger")
			require.Error(t, err)
			a.gone.Store(false)
			time.Sleep(2 * time.Second)
			require.Zero(t, p.Len())
			_, err = p.Load(t.Context(), token)
			require.NoError(t, err)
		})
	})
	t.Run("a session that could not be ended is ended; what was done although the answer was lost is no error", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, p, codec := start(t)
			tag, id := codec.Tag("u"), tokens.NewSessionID()
			_, refresh := codec.NewRefresh(tag, id, 0)
			_, access := codec.NewUserAccess(tag, id)
			epoch, err := p.UserEpoch(t.Context(), tag, time.Hour)
			require.NoError(t, err)
			require.NoError(t, started(p.StartSession(t.Context(), &tokens.SessionStart{Refresh: refresh, Access: access, Record: record(), IdleTTL: time.Hour, MaxTTL: time.Hour,
				EpochTTL: 2 * time.Hour, Session: tokens.Session{Tag: tag, ID: id, ClientID: "app", UserEpoch: epoch, Subject: "u", Scope: "a"}})))
			a.gone.Store(true)
			_, err = p.EndSession(t.Context(), tag, id)
			require.Error(t, err)
			a.does.Store(true)
			_, err = p.Revoke(t.Context(), refresh, "app")
			require.Error(t, err)
			require.Equal(t, 2, p.Len())
			a.gone.Store(false)
			time.Sleep(2 * time.Second)
			require.Zero(t, p.Len())
			_, err = p.Session(t.Context(), refresh)
			require.ErrorIs(t, err, tokens.ErrNotFound)
		})
	})
	t.Run("V-13 a user's end and a client's disabling are done once the store is back, and end nothing that began since", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, p, codec := start(t)
			ctx, tag, other := t.Context(), codec.Tag("u"), codec.Tag("v")
			before, err := p.UserEpoch(ctx, tag, time.Hour)
			require.NoError(t, err)
			_, err = p.UserEpoch(ctx, other, time.Hour)
			require.NoError(t, err)
			a.gone.Store(true)
			require.Error(t, p.EndUser(ctx, tag))
			require.Error(t, p.DisableClient(ctx, "app", tokens.Epoch{1}))
			a.does.Store(true)
			require.Error(t, p.EndUser(ctx, other))
			since, err := a.Store.UserEpoch(ctx, other, time.Hour)
			require.NoError(t, err)
			require.Equal(t, 3, p.Len())
			a.gone.Store(false)
			time.Sleep(2 * time.Second)
			require.Zero(t, p.Len())
			now, err := p.UserEpoch(ctx, tag, time.Hour)
			require.NoError(t, err)
			require.NotEqual(t, before, now)
			now, err = p.UserEpoch(ctx, other, time.Hour)
			require.NoError(t, err)
			require.Equal(t, since, now, "who logged in after the end was done stays logged in")
			epochs, err := p.ClientEpochs(ctx, []string{"app"}, nil)
			require.NoError(t, err)
			require.Zero(t, epochs[0])
		})
	})
	t.Run("an enabling takes back a disabling that is not confirmed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, p, _ := start(t)
			a.gone.Store(true)
			require.Error(t, p.DisableClient(t.Context(), "app", tokens.Epoch{1}))
			a.gone.Store(false)
			require.NoError(t, p.EnableClient(t.Context(), "app", tokens.Epoch{2}))
			time.Sleep(2 * time.Second)
			epochs, err := p.ClientEpochs(t.Context(), []string{"app"}, nil)
			require.NoError(t, err)
			require.NotZero(t, epochs[0])
		})
	})
	t.Run("one that always fails does not stand before the others", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, p, codec := start(t)
			a.gone.Store(true)
			_, bad := codec.NewClientAccess()
			_, _ = p.Revoke(t.Context(), bad, "app")
			for range 50 {
				_, token := codec.NewClientAccess()
				_, _ = p.Revoke(t.Context(), token, "app")
			}
			a.bad.Store(&bad)
			a.gone.Store(false)
			time.Sleep(2 * time.Second)
			require.Equal(t, 1, p.Len())
		})
	})
	t.Run("it is bounded in number and time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, p, codec := start(t)
			a.gone.Store(true)
			for range 10_100 {
				_, token := codec.NewClientAccess()
				_, _ = p.Revoke(t.Context(), token, "app")
			}
			require.Equal(t, 10_000, p.Len())
			before := a.asked.Load()
			time.Sleep(10 * time.Second)
			require.LessOrEqual(t, a.asked.Load()-before, int64(30), "few are asked of a store that is away")
			time.Sleep(16 * time.Minute)
			require.Zero(t, p.Len())
		})
	})
}
