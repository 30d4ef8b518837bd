package attempts

import (
	"context"
	"sync"
	"time"
)

// Memory is a Counter in this process. Its size is bounded: when it is full, what is over is dropped,
// and if nothing is, the call fails.
type Memory struct {
	mu     sync.Mutex
	counts map[Subject]count
}

type count struct {
	n     int
	until time.Time
}

const maxSubjects = 1 << 18

// NewMemory returns an empty counter.
func NewMemory() *Memory { return &Memory{counts: map[Subject]count{}} }

// Add implements Counter.
func (m *Memory) Add(_ context.Context, s Subject, window time.Duration) (int, time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	c, ok := m.counts[s]
	if !ok || !now.Before(c.until) {
		if len(m.counts) >= maxSubjects && m.expire(now) {
			return 0, 0, errFull
		}
		c = count{until: now.Add(window)}
	}
	c.n++
	m.counts[s] = c
	return c.n, c.until.Sub(now), nil
}

// expire drops what is over and says whether the counter is still full.
func (m *Memory) expire(now time.Time) bool {
	for s, c := range m.counts {
		if !now.Before(c.until) {
			delete(m.counts, s)
		}
	}
	return len(m.counts) >= maxSubjects
}

// Reset implements Counter.
func (m *Memory) Reset(_ context.Context, s Subject) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.counts, s)
	return nil
}

// Count implements Counter.
func (m *Memory) Count(_ context.Context, s Subject) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.counts[s]; time.Now().Before(c.until) {
		return c.n, nil
	}
	return 0, nil
}

// Undo implements Counter.
func (m *Memory) Undo(_ context.Context, s Subject) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.counts[s]; ok && c.n > 0 {
		c.n--
		m.counts[s] = c
	}
	return nil
}
