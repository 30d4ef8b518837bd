package console

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/grantor-auth/grantor/internal/metrics"
)

const (
	sampleEvery = 10 * time.Second
	samplesKept = 361 // of an hour, and the one before
	minutes     = 60
)

// sample is what a node had counted at a moment.
type sample struct {
	at time.Time
	metrics.Totals
}

// Samples are the counts of this node in the last hour.
type Samples struct {
	mu   sync.Mutex
	list []sample // the oldest first
}

// Run takes a sample every ten seconds until ctx ends.
func (s *Samples) Run(ctx context.Context, read func() metrics.Totals) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		s.add(sample{time.Now(), read()})
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Samples) add(one sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == samplesKept {
		s.list = slices.Delete(s.list, 0, 1)
	}
	s.list = append(s.list, one)
}

// lastHour returns the samples of the last hour.
func (s *Samples) lastHour() []sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// perMinute returns how much a count rose in each minute of the last hour, the latest last. Minutes
// before the first sample have 0.
func perMinute(list []sample, of func(metrics.Totals) float64) []float64 {
	rises := make([]float64, minutes)
	for i := 1; i < len(list); i++ {
		if at := minuteOf(list, i); at >= 0 {
			rises[at] += max(of(list[i].Totals)-of(list[i-1].Totals), 0)
		}
	}
	return rises
}

// minuteOf returns the minute of the hour that ends with the last sample; negative: it is over.
func minuteOf(list []sample, i int) int {
	ago := list[len(list)-1].at.Sub(list[i].at)
	return minutes - 1 - int(ago/time.Minute)
}

// meanPerMinute returns the mean of a sum over a count, for each minute; 0 where nothing was
// counted.
func meanPerMinute(list []sample, sum, count func(metrics.Totals) float64) []float64 {
	sums, counts := perMinute(list, sum), perMinute(list, count)
	for i := range sums {
		if counts[i] > 0 {
			sums[i] /= counts[i]
		}
	}
	return sums
}

// reason is why requests were refused in the last hour, and how many.
type reason struct {
	Name  string
	Count float64
	Share float64 // of the most frequent, to 1
}

// reasons returns the most frequent reasons of refusals, and how many there were of all.
func reasons(list []sample, most int) (top []reason, all float64) {
	if len(list) < 2 {
		return nil, 0
	}
	first, last := list[0].Refusals, list[len(list)-1].Refusals
	for _, name := range slices.Sorted(maps.Keys(last)) {
		if n := last[name] - first[name]; n > 0 {
			top, all = append(top, reason{Name: name, Count: n}), all+n
		}
	}
	slices.SortStableFunc(top, func(a, b reason) int { return int(b.Count - a.Count) })
	top = top[:min(most, len(top))]
	for i := range top {
		top[i].Share = top[i].Count / top[0].Count
	}
	return top, all
}
