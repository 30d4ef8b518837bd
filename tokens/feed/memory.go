package feed

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Memory is the stream of one process. It is a Stream but for Editions, which the store of tokens
// has.
type Memory struct {
	now func() time.Time

	mu      sync.Mutex
	entries []memoryEntry // never empty
	number  uint64
	grown   chan struct{} // closed when an entry comes
}

type memoryEntry struct {
	at    Position
	added time.Time
	end   End
}

// NewMemory returns an enabled stream.
func NewMemory(now func() time.Time) *Memory {
	m := &Memory{now: now, grown: make(chan struct{})}
	m.add(End{})
	return m
}

// add appends an entry. The lock must be held, or nobody else knows m.
func (m *Memory) add(e End) {
	m.number++
	at := positionOf(fmt.Sprintf("%d-0", m.number), Nonce())
	m.entries = append(m.entries, memoryEntry{at, m.now(), e})
}

// Append implements Stream. It calls nothing, so a caller may hold locks of its own.
func (m *Memory) Append(_ context.Context, ends ...End) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range ends {
		m.add(e)
	}
	if len(ends) > 0 {
		close(m.grown)
		m.grown = make(chan struct{})
	}
	return nil
}

// Read implements Stream.
func (m *Memory) Read(_ context.Context, after Position, most int) (*Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trim()
	if after == Last {
		after = m.entries[len(m.entries)-1].at
	}
	next := slices.IndexFunc(m.entries, func(e memoryEntry) bool { return e.at == after }) + 1
	page := &Page{At: after, Enabled: true, Reset: next == 0 && after != ""}
	rest, most := m.entries[next:], max(most, 1)
	if len(rest) > most {
		rest, page.More = rest[:most], true
	}
	for _, e := range rest {
		page.At = e.at
		if len(e.end.Names) > 0 || e.end.Client != "" {
			end := e.end
			end.At = e.at
			page.Ends = append(page.Ends, end)
		}
	}
	return page, nil
}

// trim forgets what is older than Retention, but for the last entry.
func (m *Memory) trim() {
	oldest := m.now().Add(-Retention)
	i := 0
	for i < len(m.entries)-1 && m.entries[i].added.Before(oldest) {
		i++
	}
	m.entries = m.entries[i:]
}

// Await implements Stream.
func (m *Memory) Await(ctx context.Context, after Position) error {
	m.mu.Lock()
	grown, behind := m.grown, m.entries[len(m.entries)-1].at != after
	m.mu.Unlock()
	if behind {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-grown:
		return nil
	}
}

// Enable implements Stream.
func (*Memory) Enable(context.Context) error { return nil }

// Enabled implements Stream.
func (*Memory) Enabled(context.Context) (bool, error) { return true, nil }
