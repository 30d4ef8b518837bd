package lockout

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a Counter in this process. Its size is bounded: when it is full, what is over is
// dropped, and if nothing is, the call fails.
type Memory struct {
	now     func() time.Time
	mu      sync.Mutex
	counts  map[Subject]count
	entries map[Subject]map[EntryID]mark
	notes   map[Subject]map[string]time.Time
}

type count struct {
	n     int
	until time.Time
}

// mark is one entry that counts.
type mark struct {
	until time.Time
	kept  bool // false: a reservation
}

const maxSubjects = 1 << 18

// NewMemory returns an empty counter.
func NewMemory() *Memory {
	return &Memory{now: time.Now, counts: map[Subject]count{}, entries: map[Subject]map[EntryID]mark{},
		notes: map[Subject]map[string]time.Time{}}
}

// SetClock sets the clock by which windows end, in place of time.Now, before the counter is used.
func (m *Memory) SetClock(now func() time.Time) { m.now = now }

// Now implements Counter.
func (m *Memory) Now() time.Time { return m.now() }

// Add implements Counter.
func (m *Memory) Add(_ context.Context, s Subject, window time.Duration) (int, time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	c, ok := m.counts[s]
	if !ok || !now.Before(c.until) {
		if len(m.counts) >= maxSubjects && m.expire(now) {
			return 0, 0, ErrFull
		}
		c = count{until: now.Add(window)}
	}
	c.n++
	m.counts[s] = c
	return c.n, c.until.Sub(now), nil
}

// Count implements Counter.
func (m *Memory) Count(_ context.Context, s Subject) (int, time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, now := m.counts[s], m.now()
	if !now.Before(c.until) {
		return 0, 0, nil
	}
	return c.n, c.until.Sub(now), nil
}

// Forget implements Counter.
func (m *Memory) Forget(_ context.Context, s Subject) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.counts, s)
	return nil
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

// live drops what is over of a subject, and returns the rest. The lock must be held.
func (m *Memory) live(s Subject, now time.Time) map[EntryID]mark {
	list := m.entries[s]
	for e, k := range list {
		if !now.Before(k.until) {
			delete(list, e)
		}
	}
	if len(list) == 0 {
		delete(m.entries, s)
		return nil
	}
	return list
}

// Hold implements Counter.
func (m *Memory) Hold(_ context.Context, s Subject, e EntryID, limit int, pending time.Duration) (Hold, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	list := m.live(s, now)
	if _, there := list[e]; there {
		return Hold{}, nil
	}
	if len(list) < limit {
		return Hold{}, m.put(s, e, now, mark{until: now.Add(pending)})
	}
	if ends := keptUntil(list); len(ends) >= limit {
		return Hold{Full, ends[len(ends)-limit].Sub(now)}, nil
	}
	return Hold{Result: Busy}, nil
}

// keptUntil returns when the kept entries end, the first to end first.
func keptUntil(list map[EntryID]mark) (ends []time.Time) {
	for _, k := range list {
		if k.kept {
			ends = append(ends, k.until)
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	return ends
}

// put lets an entry count. The lock must be held.
func (m *Memory) put(s Subject, e EntryID, now time.Time, k mark) error {
	if m.entries[s] == nil {
		if len(m.entries) >= maxSubjects {
			for other := range m.entries {
				m.live(other, now)
			}
		}
		if len(m.entries) >= maxSubjects {
			return ErrFull
		}
		m.entries[s] = map[EntryID]mark{}
	}
	m.entries[s][e] = k
	return nil
}

// Keep implements Counter.
func (m *Memory) Keep(_ context.Context, s Subject, e EntryID, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	return m.put(s, e, now, mark{now.Add(ttl), true})
}

// Release implements Counter.
func (m *Memory) Release(_ context.Context, s Subject, e EntryID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, there := m.entries[s][e]; there && !k.kept {
		delete(m.entries[s], e)
	}
	return nil
}

// Kept implements Counter.
func (m *Memory) Kept(_ context.Context, s Subject) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(keptUntil(m.live(s, m.now()))), nil
}

// Entries implements Counter.
func (m *Memory) Entries(_ context.Context, s Subject) (left []time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for _, end := range keptUntil(m.live(s, now)) {
		left = append(left, end.Sub(now))
	}
	return left, nil
}

// Note implements Counter.
func (m *Memory) Note(_ context.Context, s Subject, text string, ttl time.Duration, limit int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if m.notes[s] == nil {
		if len(m.notes) >= maxSubjects {
			for other := range m.notes {
				m.noted(other, now)
			}
		}
		if len(m.notes) >= maxSubjects {
			return ErrFull
		}
		m.notes[s] = map[string]time.Time{}
	}
	m.notes[s][strings.Clone(text)] = now.Add(ttl)
	if list := m.noted(s, now); len(list) > limit {
		delete(m.notes[s], list[len(list)-1])
	}
	return nil
}

// noted drops the texts of a subject that have ended, and returns the others, the last to end
// first. The lock must be held.
func (m *Memory) noted(s Subject, now time.Time) (texts []string) {
	for text, until := range m.notes[s] {
		if now.Before(until) {
			texts = append(texts, text)
		} else {
			delete(m.notes[s], text)
		}
	}
	if len(texts) == 0 {
		delete(m.notes, s)
	}
	slices.SortFunc(texts, func(a, b string) int {
		return cmp.Or(m.notes[s][b].Compare(m.notes[s][a]), strings.Compare(b, a))
	})
	return texts
}

// Noted implements Counter.
func (m *Memory) Noted(_ context.Context, s Subject) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.noted(s, m.now()), nil
}

// Reset implements Counter.
func (m *Memory) Reset(_ context.Context, s Subject, e EntryID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for other, k := range m.entries[s] {
		if k.kept || other == e {
			delete(m.entries[s], other)
		}
	}
	m.live(s, m.now())
	return nil
}
