package gate

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSparse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		log := slog.New(newSparse(slog.NewTextHandler(&out, nil)))
		for range 100 {
			log.Error("away")
			log.With("a", 1).Error("away")
			log.WithGroup("g").Error("other")
		}
		require.Equal(t, 1, strings.Count(out.String(), "away"))
		require.Equal(t, 1, strings.Count(out.String(), "other"))
		time.Sleep(time.Second)
		log.Error("away")
		require.Contains(t, out.String(), "left_out=199")
		time.Sleep(time.Second)
		log.Error("away")
		require.Equal(t, 1, strings.Count(out.String(), "left_out"), "nothing was left out since")
	})
	t.Run("an outage is told once a second", func(t *testing.T) {
		g, log := newGate(t, nil)
		for range 50 {
			require.Equal(t, 503, check(g, "GET", "/verify?scope=orders:read", "Authorization: Bearer away").Code)
		}
		require.LessOrEqual(t, strings.Count(log.String(), "could not be verified"), 2)
	})
}
