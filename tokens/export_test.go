package tokens

import (
	"context"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// DB is the Redis under the store.
func (s *Redis) DB() *redisdb.DB { return s.db }

// RetryResponseKey is where Redis keeps the retry response of a session.
func RetryResponseKey(tag Tag, id SessionID) string { return retryKey(tag, id) }

// LoseRetryResponse forgets the retry response of a session.
func (m *Memory) LoseRetryResponse(tag Tag, id SessionID) {
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, retryKey(tag, id))
}

// StoodStill says that the process stood still until this moment.
func (m *Memory) StoodStill(length time.Duration) {
	m.pulse.mu.Lock()
	defer m.pulse.mu.Unlock()
	m.pulse.end = time.Now()
	m.pulse.began = m.pulse.end.Add(-length)
}

// Settling has f come in the place of the wait in which nodes say what they serve.
func (s *Redis) Settling(f func(context.Context) error) *Redis {
	s.waitForOthers = f
	return s
}
