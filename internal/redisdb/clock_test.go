package redisdb

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClock(t *testing.T) {
	t.Run("S-27 before anybody has looked it is this node's", func(t *testing.T) {
		var c clock
		require.WithinDuration(t, time.Now(), c.now(), time.Minute)
	})
	base := time.Now()
	at := func(d time.Duration) time.Time { return base.Add(d) }
	ms := time.Millisecond
	for name, r := range map[string]struct {
		off, sent, received time.Duration // of a second reading; the first said an hour ahead, and took 2 ms
		want                time.Duration // what Redis's time is known to be at base + 1 s, less an hour
	}{
		"a late answer that agrees changes nothing":         {30 * ms, 500 * ms, 600 * ms, time.Second},
		"a more exact one does":                             {0, 500 * ms, 501 * ms, time.Second - 500*time.Microsecond},
		"one that disagrees, because Redis's clock jumped":  {time.Hour, 500 * ms, 600 * ms, time.Hour + time.Second - 50*ms},
		"one that disagrees, because it jumped back":        {-time.Hour, 500 * ms, 600 * ms, -time.Hour + time.Second - 50*ms},
		"one that is 20 s late, because this process slept": {15 * time.Second, time.Minute, time.Minute + 20*time.Second, time.Second},
		"a late one, when the first has drifted further":    {80 * ms, 10 * time.Minute, 10*time.Minute + 100*ms, time.Second + 30*ms},
	} {
		t.Run("S-27 "+name, func(t *testing.T) {
			var c clock
			c.learn(at(time.Hour+ms), at(0), at(2*ms))
			c.learn(at(time.Hour+r.sent+r.off), at(r.sent), at(r.received))
			require.Equal(t, at(time.Hour+r.want), c.last.Load().at(at(time.Second)))
		})
	}
}
