package keys

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

// Memory is the store of one process. Its keys are lost at exit.
type Memory struct {
	mu     sync.Mutex
	state  State
	leader string
	leads  time.Time // until
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{} }

// Load implements Store.
func (m *Memory) Load(context.Context) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state, nil
}

// Swap implements Store.
func (m *Memory) Swap(_ context.Context, revision string, keys []Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.Revision != revision {
		return ErrOvertaken
	}
	m.state = State{Revision: rand.Text(), Keys: slices.Clone(keys)}
	return nil
}

// Lease implements Store.
func (m *Memory) Lease(_ context.Context, holder string, ttl time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.leader != holder && now.Before(m.leads) {
		return false, nil
	}
	m.leader, m.leads = holder, now.Add(ttl)
	return true, nil
}
