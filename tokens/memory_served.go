package tokens

import (
	"context"
	"sync"
)

// servedNames are what the one node of a Memory serves, and what its configuration lacks now.
type servedNames struct {
	mu          sync.Mutex
	now, absent map[ServedName]bool
}

// BeginServing implements Store.
func (m *Memory) BeginServing(_ context.Context, names []ServedName) (back, gone []ServedName, err error) {
	s := &m.served
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := map[ServedName]bool{}
	for _, n := range names {
		if mine[n] = true; s.absent[n] && !s.now[n] {
			back = append(back, n)
		}
	}
	for n := range s.now {
		if !mine[n] {
			s.absent[n] = true
			gone = append(gone, n)
		}
	}
	return back, gone, nil
}

// Serving implements Store.
func (m *Memory) Serving(_ context.Context, names []ServedName) error {
	s := &m.served
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.absent == nil {
		s.absent = map[ServedName]bool{}
	}
	s.now = map[ServedName]bool{}
	for _, n := range names {
		s.now[n] = true
		delete(s.absent, n)
	}
	return nil
}
