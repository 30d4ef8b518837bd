package users

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// pace remembers how long password checks took of late, waiting for a slot included, so
// that a refusal without a check can take as long (docs/evidence/conformance.md S-02, S-03).
type pace struct {
	mu   sync.Mutex
	last [32]time.Duration
	n    int // checks noted ever
}

func (p *pace) note(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[p.n%len(p.last)] = d
	p.n++
}

// pick returns one of the last durations at random: the spread is then the same, too.
func (p *pace) pick() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		return 0
	}
	return p.last[rand.IntN(min(p.n, len(p.last)))] // #nosec G404 -- a delay, no secret
}

// wait sleeps as long as a check took, or until ctx ends.
func (p *pace) wait(ctx context.Context) {
	t := time.NewTimer(p.pick())
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
