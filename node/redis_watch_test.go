package node

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

func TestRedisWatch(t *testing.T) {
	t.Run("S-26 an eviction policy that is set while Grantor serves is an error in the log, hourly, and in the metrics", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			sound := redisdb.Report{Version: "7.4.0", Policy: "noeviction", AOF: true}
			evicting, replica := sound, sound
			evicting.Policy, evicting.Memory, replica.Replica = "allkeys-lru", 100<<20, true
			w := &redisWatch{resources: &resources{log: slog.New(slog.NewTextHandler(&log, nil))}}
			w.look(sound)
			require.Empty(t, log.String())
			for range 4 * 60 * 3 {
				w.look(evicting)
				require.True(t, w.resources.evicts.Load())
				time.Sleep(15 * time.Second)
			}
			require.Equal(t, 3, strings.Count(log.String(), "level=ERROR"), log.String())
			w.look(sound)
			require.False(t, w.resources.evicts.Load())
			w.look(replica)
			w.look(replica)
			require.Equal(t, 1, strings.Count(log.String(), "takes no writes"))
		})
	})
}
