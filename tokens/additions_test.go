package tokens_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// withReplica is a store over a primary whose one replica must confirm.
func withReplica(t *testing.T) (store *tokens.Redis, primary, replica *redistest.Server) {
	t.Helper()
	primary = redistest.Start(t)
	replica = primary.AddReplica()
	db, err := redisdb.Open(redisdb.Config{URL: primary.URL, WaitReplicas: 1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return tokens.NewRedis(db), primary, replica
}

func TestReplicaHangs(t *testing.T) {
	store, primary, replica := withReplica(t)
	d := &skewed{redis: primary, right: store, codec: tokens.NewCodec(tokens.NewServerKey())}
	ctx := t.Context()
	before, other := d.login(t, store), d.login(t, store)
	_, machine := d.codec.NewClientAccess()
	require.NoError(t, store.Issue(ctx, machine, &tokens.Record{ClientID: "app", IssuedAt: time.Now(), TTL: time.Hour}))
	require.Zero(t, store.Unconfirmed(tokens.UnconfirmedLogin))
	replica.Pause()
	defer replica.Resume()

	t.Run("S-22 RT-19 a rotation, a login and a replay mark are answered by the primary and counted", func(t *testing.T) {
		first := before.rotation(store, before.refresh)
		out, err := store.Rotate(ctx, first)
		require.NoError(t, err)
		require.Nil(t, out.RetryResponse)
		out, err = store.Rotate(ctx, before.rotation(store, before.refresh))
		require.NoError(t, err)
		require.Equal(t, first.RetryResponse, out.RetryResponse, "a retry has the same answer")
		require.EqualValues(t, 2, store.Unconfirmed(tokens.UnconfirmedRotation))
		before.refresh = first.New
		c := d.login(t, store)
		require.True(t, c.active(t, store, c.access))
		require.EqualValues(t, 1, store.Unconfirmed(tokens.UnconfirmedLogin))
	})
	t.Run("S-23 what is not proven to be the primary still has no word", func(t *testing.T) {
		unproven := tokens.NewRedis(store.DB()).WithPulse(&fakePulse{err: redisdb.ErrUnavailable})
		_, err := unproven.Rotate(ctx, other.rotation(unproven, other.refresh))
		require.ErrorIs(t, err, redisdb.ErrNotDurable)
		require.Zero(t, unproven.Unconfirmed(tokens.UnconfirmedRotation))
	})
	t.Run("V-14 CJ-08 an assertion is neither burnt nor usable twice", func(t *testing.T) {
		is, err := store.Once(ctx, "assertion", time.Minute)
		require.NoError(t, err)
		require.True(t, is)
		is, err = store.Once(ctx, "assertion", time.Minute)
		require.NoError(t, err)
		require.False(t, is)
		require.EqualValues(t, 2, store.Unconfirmed(tokens.UnconfirmedReplayMark))
	})
	t.Run("V-13 what takes something away is not answered as done, and says what it did", func(t *testing.T) {
		ended, err := store.Revoke(ctx, machine, "app")
		require.ErrorIs(t, err, redisdb.ErrNotDurable)
		require.True(t, ended)
		ended, err = store.EndSession(ctx, other.tag, other.session)
		require.ErrorIs(t, err, redisdb.ErrNotDurable)
		require.True(t, ended)
		require.ErrorIs(t, store.EndUser(ctx, other.tag), redisdb.ErrNotDurable)
	})
	t.Run("S-22 V-01 the verdict of reuse is given, and the end that nobody confirmed is asked for again", func(t *testing.T) {
		p := tokens.NewPending(store)
		used := before.refresh
		for range 2 {
			r := before.rotation(store, before.refresh)
			_, err := p.Rotate(ctx, r)
			require.NoError(t, err)
			before.refresh = r.New
		}
		_, err := p.Rotate(ctx, before.rotation(store, used))
		var g *tokens.GrantError
		require.ErrorAs(t, err, &g)
		require.Equal(t, tokens.ReasonReuse, g.Reason)
		require.ErrorIs(t, g.Unconfirmed, redisdb.ErrNotDurable)
		require.Equal(t, 1, p.Len())
		refusedFor(t, tokens.ReasonNoSession, p, before.rotation(store, before.refresh))
	})
}

// TestDeafNode ends the way between node and Redis after the question and before the answer.
func TestDeafNode(t *testing.T) {
	t.Run("S-20 V-01 a verdict that nobody hears ends no session: it may belong to a request of long ago", func(t *testing.T) {
		s := redistest.Start(t)
		c, node := loggedIn(t, s, time.Hour)
		used := c.refresh
		for range 2 {
			r := c.rotation(node, c.refresh)
			_, err := node.Rotate(t.Context(), r)
			require.NoError(t, err)
			c.refresh = r.New
		}
		deaf, err := redisdb.Open(redisdb.Config{URL: s.URL})
		require.NoError(t, err)
		require.NoError(t, deaf.Ping(t.Context()))
		s.Pause()
		_, err = tokens.NewRedis(deaf).Rotate(t.Context(), c.rotation(node, used))
		require.ErrorIs(t, err, redisdb.ErrUnavailable)
		require.NoError(t, deaf.Close())
		s.Resume()
		_, err = node.Rotate(t.Context(), c.rotation(node, c.refresh))
		require.NoError(t, err)
	})
}

func TestLateRetry(t *testing.T) {
	s := redistest.Start(t)
	var p fakePulse
	for name, a := range map[string]struct {
		length, since time.Duration
		window        time.Duration
		forgiven      bool
	}{
		"no outage":                               {0, 0, retryLife, false},
		"an outage that has just ended":           {time.Minute, 0, retryLife, true},
		"at the end of the window after it":       {time.Minute, retryLife, retryLife, true},
		"long after it":                           {time.Minute, retryLife + 10*time.Second, retryLife, false},
		"retry_window 0 is strict":                {time.Minute, 0, 0, false},
		"Redis cannot say whether there was one":  {-1, 0, retryLife, false},
		"an outage that began long after the use": {time.Millisecond, 0, 10 * time.Millisecond, false},
	} {
		t.Run("RT-19 V-01 a retry whose response is over: "+name, func(t *testing.T) {
			c, _ := loggedIn(t, s, time.Hour)
			node := tokens.NewRedis(openRedis(t, s, "")).WithPulse(&p)
			first := c.rotation(node, c.refresh)
			_, err := node.Rotate(t.Context(), first)
			require.NoError(t, err)
			require.NoError(t, s.Client().Del(t.Context(), tokens.RetryResponseKey(c.tag, c.session)).Err())
			time.Sleep(15 * time.Millisecond) // by Redis's clock
			p.set(max(a.length, 0))
			p.returned = p.returned.Add(-a.since)
			p.err = nil
			if a.length < 0 {
				p.err = redisdb.ErrUnavailable
			}
			retry := c.rotation(node, c.refresh)
			retry.RetryWindow = a.window
			out, err := node.Rotate(t.Context(), retry)
			switch {
			case p.err != nil:
				require.ErrorIs(t, err, redisdb.ErrUnavailable)
				require.True(t, c.active(t, node, first.Access), "nothing was ended")
			case a.forgiven:
				require.NoError(t, err)
				require.True(t, out.Reissued)
				again, err := node.Rotate(t.Context(), c.rotation(node, c.refresh))
				require.NoError(t, err)
				require.Equal(t, retry.RetryResponse, again.RetryResponse, "from here on it is the one answer")
				f, err := node.Session(t.Context(), c.refresh)
				require.NoError(t, err)
				require.EqualValues(t, 1, f.Generation)
				refusedFor(t, tokens.ReasonReuse, node, c.rotation(node, first.New)) // the pair that it replaced
			default:
				var g *tokens.GrantError
				require.ErrorAs(t, err, &g)
				require.Equal(t, tokens.ReasonReuse, g.Reason)
				require.False(t, c.active(t, node, first.Access))
			}
		})
	}
}

func TestMemoryStoodStill(t *testing.T) {
	t.Run("RT-19 a process that stood still ends no session either", func(t *testing.T) {
		m := tokens.NewMemory(0)
		defer m.Close()
		d := &skewed{codec: tokens.NewCodec(tokens.NewServerKey())}
		for _, stood := range []time.Duration{0, time.Minute} {
			c := d.login(t, m)
			first := c.rotation(m, c.refresh)
			_, err := m.Rotate(context.Background(), first)
			require.NoError(t, err)
			m.LoseRetryResponse(c.tag, c.session)
			m.StoodStill(stood)
			if stood == 0 {
				refusedFor(t, tokens.ReasonReuse, m, c.rotation(m, c.refresh))
				continue
			}
			out, err := m.Rotate(context.Background(), c.rotation(m, c.refresh))
			require.NoError(t, err)
			require.True(t, out.Reissued)
		}
	})
	t.Run("RT-12 a store that is at work forgives nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := tokens.NewMemory(0)
			defer m.Close()
			d := &skewed{codec: tokens.NewCodec(tokens.NewServerKey())}
			c := d.login(t, m)
			_, err := m.Rotate(context.Background(), c.rotation(m, c.refresh))
			require.NoError(t, err)
			time.Sleep(retryLife + time.Second)
			refusedFor(t, tokens.ReasonReuse, m, c.rotation(m, c.refresh))
		})
	})
}
