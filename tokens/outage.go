package tokens

import (
	"context"
	"sync"
	"time"
)

// Pulse knows when the store did not serve; *redisdb.Beat is one.
type Pulse interface {
	// Fresh returns nil if within a time the store was proven to be the one that all write to.
	Fresh(within time.Duration) error
	// Once looks now.
	Once(ctx context.Context) error
	// Outage returns the last time without service: how long it was, and when it ended. Zero: there was none.
	Outage() (length time.Duration, returned time.Time)
}

// retryDelay is how much later than it may a client comes back that obeys Retry-After, with its jitter.
const retryDelay = 5 * time.Second

// outage is a time without service, as seen from now.
type outage struct{ length, since time.Duration }

func lastOutage(p Pulse) outage {
	if p == nil {
		return outage{}
	}
	length, returned := p.Outage()
	return outage{length, time.Since(returned)}
}

// forgives says whether a retry comes now, age after its rotation, through this outage: time in which we could not answer does not count against
// the client. So a retry that comes within the window of the moment when service returned ends no session, if its rotation was not over the window when service ended.
func (o outage) forgives(age, window time.Duration) bool {
	return o.length > 0 && window > 0 && o.since <= window+retryDelay && age <= o.since+o.length+window
}

// forgives asks whether a retry that came too late did so through an outage of Redis. It looks before it judges: a request may come
// sooner after an outage than the next beat.
func (s *Redis) forgives(ctx context.Context, age, window time.Duration) (bool, error) {
	if s.pulse == nil {
		return false, nil
	}
	if err := s.pulse.Once(ctx); err != nil {
		return false, err
	}
	return s.excuses(age, window), nil
}

// excuses is forgives by what is known already.
func (s *Redis) excuses(age, window time.Duration) bool {
	return lastOutage(s.pulse).forgives(age, window)
}

// memoryPulse is that of a Memory: its process may stand still.
type memoryPulse struct {
	mu         sync.Mutex
	last       time.Time
	began, end time.Time // of the last outage
}

// memoryStill is how long a Memory's sweeper must not have run for an outage.
const memoryStill = 2 * sweepEvery

func (p *memoryPulse) beat(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look(now)
	p.last = now
}

// look notes an outage that ends now. The lock must be held.
func (p *memoryPulse) look(now time.Time) {
	if !p.last.IsZero() && now.Sub(p.last) > memoryStill {
		p.began, p.end, p.last = p.last, now, now
	}
}

// at returns the last outage as seen at a moment.
func (p *memoryPulse) at(now time.Time) outage {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look(now)
	return outage{p.end.Sub(p.began), now.Sub(p.end)}
}
