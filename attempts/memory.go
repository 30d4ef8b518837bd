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
	held   map[Subject]map[Event]time.Time // until when
}

type count struct {
	n     int
	until time.Time
}

const maxSubjects = 1 << 18

// NewMemory returns an empty counter.
func NewMemory() *Memory {
	return &Memory{counts: map[Subject]count{}, held: map[Subject]map[Event]time.Time{}}
}

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

// events drops what is over of a subject, and returns the rest. The lock must be held.
func (m *Memory) events(s Subject, now time.Time) map[Event]time.Time {
	list := m.held[s]
	for e, until := range list {
		if !now.Before(until) {
			delete(list, e)
		}
	}
	if len(list) == 0 {
		delete(m.held, s)
		return nil
	}
	return list
}

// Hold implements Counter.
func (m *Memory) Hold(_ context.Context, s Subject, e Event, most int, pending time.Duration) (int, time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	list := m.events(s, now)
	if _, there := list[e]; there {
		return len(list), 0, nil
	}
	if len(list) >= most {
		return most + 1, soonest(list).Sub(now), nil
	}
	if err := m.put(s, e, now, now.Add(pending)); err != nil {
		return 0, 0, err
	}
	return len(m.held[s]), 0, nil
}

func soonest(list map[Event]time.Time) (first time.Time) {
	for _, until := range list {
		if first.IsZero() || until.Before(first) {
			first = until
		}
	}
	return first
}

// put holds an event. The lock must be held.
func (m *Memory) put(s Subject, e Event, now, until time.Time) error {
	if m.held[s] == nil {
		if len(m.held) >= maxSubjects {
			for other := range m.held {
				m.events(other, now)
			}
		}
		if len(m.held) >= maxSubjects {
			return errFull
		}
		m.held[s] = map[Event]time.Time{}
	}
	m.held[s][e] = until
	return nil
}

// Keep implements Counter.
func (m *Memory) Keep(_ context.Context, s Subject, e Event, life time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	return m.put(s, e, now, now.Add(life))
}

// Release implements Counter.
func (m *Memory) Release(_ context.Context, s Subject, e Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.held[s], e)
	return nil
}

// Held implements Counter.
func (m *Memory) Held(_ context.Context, s Subject) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.events(s, time.Now())), nil
}

// Reset implements Counter.
func (m *Memory) Reset(_ context.Context, s Subject) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.held, s)
	return nil
}
