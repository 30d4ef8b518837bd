package users

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// Slots bound how many passwords are checked at once, and how many requests wait for it and how
// long, so that guessing starves nobody else (docs/evidence/conformance.md S-16) and memory stays
// below slots × MaxHashMemory (S-17).
type Slots struct {
	busy    chan struct{}
	waiting atomic.Int64
	queue   int64
	checks  atomic.Uint64
	garbage garbage
}

const (
	// MaxWait is how long a request waits for a slot: the refusal is to come within a second.
	MaxWait = 750 * time.Millisecond
	// waitersPerSlot is about what one slot gets through within MaxWait; more would wait in vain.
	waitersPerSlot = 32
)

// NewSlots returns n slots; n ≤ 0 is one for each core in use (runtime.GOMAXPROCS).
func NewSlots(n int) *Slots {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return &Slots{busy: make(chan struct{}, n), queue: int64(n) * waitersPerSlot}
}

// Do runs check in a slot, first come first served. It returns ErrBusy when too many
// wait already or none became free within MaxWait, and the context's error when ctx
// ended first; check has not run then. A check that has begun is not interrupted.
func (s *Slots) Do(ctx context.Context, check func()) error {
	return s.hold(ctx, func() {
		s.checks.Add(1)
		check()
	})
}

// hold is Do for what may turn out to be no check.
func (s *Slots) hold(ctx context.Context, do func()) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer func() { <-s.busy }()
	do()
	return nil
}

func (s *Slots) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.busy <- struct{}{}:
		return nil
	default:
	}
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > s.queue {
		return ErrBusy
	}
	t := time.NewTimer(MaxWait)
	defer t.Stop()
	select {
	case s.busy <- struct{}{}:
		return nil
	case <-t.C:
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// match compares a password in a slot: as it was typed, which is how other programs hash, and then
// as RFC 8265 §4.2 normalises it where that is another text. Whether there are two comparisons is
// told by what was typed alone.
func (s *Slots) match(ctx context.Context, hash passwordHash, password string) (ok bool, err error) {
	err = s.Do(ctx, func() {
		ok = s.matches(hash, password)
		if normal := normalPassword(password); !ok && normal != password {
			ok = s.matches(hash, normal)
		}
	})
	return ok, err
}

func (s *Slots) matches(hash passwordHash, password string) bool {
	s.garbage.collect(hash.memory())
	defer s.garbage.drop(hash.memory())
	return hash.matches(password)
}

// InUse is how many passwords are being checked now.
func (s *Slots) InUse() int { return len(s.busy) }

// Size is how many can be at most.
func (s *Slots) Size() int { return cap(s.busy) }

// Waiting is how many requests wait for a slot now.
func (s *Slots) Waiting() int { return int(s.waiting.Load()) }

// PasswordChecks is how many checks have begun since the start, those for unknown users included
// (the metric password_checks_total, docs/evidence/conformance.md V-11).
func (s *Slots) PasswordChecks() uint64 { return s.checks.Load() }
