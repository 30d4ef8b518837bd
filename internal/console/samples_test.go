package console

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/metrics"
)

// hour takes samples of an hour and a half, each with one token more, and in the last minute with
// two.
func hour(s *Samples) {
	begun := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	n := 0.0
	for i := range 540 {
		if n++; i >= 534 {
			n++
		}
		s.add(sample{begun.Add(time.Duration(i) * sampleEvery), metrics.Totals{Issued: n, StoreSeconds: n / 1000, StoreOperations: n,
			Refusals: map[string]float64{"wrong_secret": 2 * n, "unknown_client": n}}})
	}
}

func TestSamples(t *testing.T) {
	var s Samples
	hour(&s)
	list := s.lastHour()
	require.Len(t, list, samplesKept)
	rises := perMinute(list, func(t metrics.Totals) float64 { return t.Issued })
	require.Len(t, rises, minutes)
	require.InDelta(t, 12, rises[minutes-1], 0)
	require.InDelta(t, 6, rises[minutes-2], 0)
	means := meanPerMinute(list, func(t metrics.Totals) float64 { return 1000 * t.StoreSeconds }, func(t metrics.Totals) float64 { return t.StoreOperations })
	require.InDelta(t, 1, means[30], 0.001)
	top, all := reasons(list, 1)
	require.InDelta(t, 366*3, all, 0)
	require.Equal(t, "wrong_secret", top[0].Name)
	require.InDelta(t, 1, top[0].Share, 0)
	require.Equal(t, []float64{0, 0}, perMinute(nil, func(metrics.Totals) float64 { return 1 })[:2], "a node that has just started")
}

func TestChart(t *testing.T) {
	drawn := string(draw([]float64{0, 5, 10}, `"><script>`))
	require.Equal(t, 2, strings.Count(drawn, "<rect"), "a minute without any has no bar")
	require.NotContains(t, drawn, "<script>")
	require.Equal(t, "1\u202f234\u202f567", number(1234567))
	require.Equal(t, "0", number(0))
	require.Equal(t, "999", number(999))
	require.Equal(t, 50, searched("80.17"))
	require.Zero(t, searched("nonsense"))
}
