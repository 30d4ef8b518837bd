package gate

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// sparse hands on one record of each message a second: in an outage every check fails alike. The
// next record says how many were left out.
type sparse struct {
	slog.Handler
	now func() time.Time

	mu   *sync.Mutex
	seen map[string]*repeated
}

type repeated struct {
	last    time.Time
	skipped int
}

const sparseEvery = time.Second

func newSparse(h slog.Handler) *sparse {
	return &sparse{Handler: h, now: time.Now, mu: &sync.Mutex{}, seen: map[string]*repeated{}}
}

// Handle implements slog.Handler. Messages are the program's own, so there are few.
func (s *sparse) Handle(ctx context.Context, r slog.Record) error {
	skipped, due := s.due(r.Message)
	if !due {
		return nil
	}
	if skipped > 0 {
		r.AddAttrs(slog.Int("left_out", skipped))
	}
	return s.Handler.Handle(ctx, r)
}

func (s *sparse) due(message string) (skipped int, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.seen[message]
	if one == nil {
		one = &repeated{}
		s.seen[message] = one
	}
	now := s.now()
	if now.Sub(one.last) < sparseEvery {
		one.skipped++
		return 0, false
	}
	skipped, one.skipped, one.last = one.skipped, 0, now
	return skipped, true
}

// WithAttrs implements slog.Handler.
func (s *sparse) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &sparse{Handler: s.Handler.WithAttrs(attrs), now: s.now, mu: s.mu, seen: s.seen}
}

// WithGroup implements slog.Handler.
func (s *sparse) WithGroup(name string) slog.Handler {
	return &sparse{Handler: s.Handler.WithGroup(name), now: s.now, mu: s.mu, seen: s.seen}
}
