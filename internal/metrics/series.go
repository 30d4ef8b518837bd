package metrics

import (
	"maps"
	"sync/atomic"
)

// series are those of a vector that were used, by the values of their labels. The vector's own
// look-up checks and hashes the values each time.
type series[Values comparable, Series any] struct {
	used atomic.Pointer[map[Values]Series] // is replaced, never changed
	look func(Values) Series
}

func newSeries[V comparable, S any](look func(V) S) *series[V, S] {
	s := &series[V, S]{look: look}
	s.used.Store(&map[V]S{})
	return s
}

// byLabel are the series of a vector with one label.
func byLabel[S any](withLabelValues func(...string) S) *series[string, S] {
	return newSeries(func(value string) S { return withLabelValues(value) })
}

// byLabels are the series of a vector with two labels.
func byLabels[S any](withLabelValues func(...string) S) *series[[2]string, S] {
	return newSeries(func(values [2]string) S { return withLabelValues(values[:]...) })
}

// of returns the series of these values.
func (s *series[V, S]) of(values V) S {
	used := *s.used.Load()
	if one, ok := used[values]; ok {
		return one
	}
	one := s.look(values)
	now := maps.Clone(used)
	now[values] = one
	s.used.Store(&now) // of two that write at once, one is looked up again
	return one
}
