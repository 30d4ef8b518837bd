package lockout

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// deafCounter does not answer what a count is.
type deafCounter struct{ *Memory }

func (deafCounter) Count(context.Context, Subject) (int, time.Duration, error) {
	return 0, 0, errors.New("gone")
}

func TestUnlockClient(t *testing.T) {
	now := time.Now()
	counter := NewMemory()
	counter.SetClock(func() time.Time { return now })
	a, b := NewRateLimit(counter, "client", 3, time.Minute), NewRateLimit(counter, "client", 3, time.Minute)
	ctx := t.Context()
	fail := func(l *RateLimit, id, network string) {
		require.NoError(t, l.Note(ctx, id, network))
		require.NoError(t, l.Failed(ctx, ClientSubject(id, network)))
	}
	for range 3 {
		fail(a, "job", "192.0.2.1")
	}
	fail(a, "job", "192.0.2.2")
	fail(a, "other", "192.0.2.3")
	t.Run("CA-16 from where a client failed, and until when it is refused there", func(t *testing.T) {
		list, err := a.Networks(ctx, "job")
		require.NoError(t, err)
		require.Len(t, list, 2)
		for _, budget := range list {
			require.Equal(t, budget.Network == "192.0.2.1", budget.Locked > 0)
			require.Equal(t, 3, budget.Limit)
		}
		list, err = a.Networks(ctx, "nobody")
		require.NoError(t, err)
		require.Empty(t, list)
	})
	subject := ClientSubject("job", "192.0.2.1")
	t.Run("CA-16 a node that refuses asks the store once a second, and unlocks nobody without an answer", func(t *testing.T) {
		require.Positive(t, a.StillBlocked(ctx, subject))
		a.counter = deafCounter{counter}
		now = now.Add(recheckEvery)
		require.Positive(t, a.StillBlocked(ctx, subject))
		a.counter = counter
		require.Zero(t, b.Blocked(subject), "another node learns of it by its own failure")
	})
	t.Run("CA-16 unlocked on one node, it is unlocked on the others within a second", func(t *testing.T) {
		n, err := b.Unlock(ctx, "job")
		require.NoError(t, err)
		require.Equal(t, 4, n)
		require.Positive(t, a.StillBlocked(ctx, subject), "it asked in this second")
		now = now.Add(recheckEvery)
		require.Zero(t, a.StillBlocked(ctx, subject))
		require.Zero(t, a.Blocked(subject))
		list, err := a.Networks(ctx, "other")
		require.NoError(t, err)
		require.Len(t, list, 1, "another client's failures go on to count")
	})
}
