package tokens

import (
	"context"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// DB is the Redis under the store.
func (s *Redis) DB() *redisdb.DB { return s.db }

// BoxKey is where Redis keeps the retry response of a family.
func BoxKey(tag Tag, id FamilyID) string { return boxKey(tag, id) }

// LoseBox forgets the retry response of a family.
func (m *Memory) LoseBox(tag Tag, id FamilyID) {
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, boxKey(tag, id))
}

// Stood says that the process stood still until this moment.
func (m *Memory) Stood(length time.Duration) {
	m.pulse.mu.Lock()
	defer m.pulse.mu.Unlock()
	m.pulse.end = time.Now()
	m.pulse.began = m.pulse.end.Add(-length)
}

// Settling has f come in the place of the wait in which nodes say what they serve.
func (s *Redis) Settling(f func(context.Context) error) *Redis {
	s.settle = f
	return s
}
