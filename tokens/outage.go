package tokens

import (
	"context"
	"sync"
	"time"
)

// Pulse knows when the store did not serve. *redisdb.Beat is one.
type Pulse interface {
	// Fresh returns nil if within this time the store was proven to be the primary.
	Fresh(within time.Duration) error
	// Once proves it now.
	Once(ctx context.Context) error
	// Outage returns the length and the end of the last outage; zeros: there was none.
	Outage() (length time.Duration, returned time.Time)
}

// retryDelay is how late a client may return that obeys Retry-After, with jitter.
const retryDelay = 5 * time.Second

// Outage is a time without service: how long it was, and how long ago it ended. Zero: there was
// none.
type Outage struct{ Length, Since time.Duration }

func lastOutage(p Pulse) Outage {
	if p == nil {
		return Outage{}
	}
	length, returned := p.Outage()
	return Outage{length, time.Since(returned)}
}

// forgives says whether a retry, age after its rotation, is late because of the outage. Time
// without service does not count: a client that returns within the retry window after the outage
// keeps its session, if its rotation was within the window before.
func (o Outage) forgives(age, window time.Duration) bool {
	return o.Length > 0 && window > 0 && o.Since <= window+retryDelay && age <= o.Since+o.Length+window
}

// forgives looks for an outage before it decides: a request may arrive before the next beat.
func (s *Redis) forgives(ctx context.Context, r *Rotation, age time.Duration) (bool, error) {
	if r.Outage.forgives(age, r.RetryWindow) || s.pulse == nil {
		return r.Outage.forgives(age, r.RetryWindow), nil
	}
	if err := s.pulse.Once(ctx); err != nil {
		return false, err
	}
	return lastOutage(s.pulse).forgives(age, r.RetryWindow), nil
}

// excuses decides by the outages that are known.
func (s *Redis) excuses(r *Rotation, age time.Duration) bool {
	return r.Outage.forgives(age, r.RetryWindow) || lastOutage(s.pulse).forgives(age, r.RetryWindow)
}

// memoryPulse knows when a Memory did not serve: while its process was suspended.
type memoryPulse struct {
	mu         sync.Mutex
	last       time.Time
	began, end time.Time // of the last outage
}

// memoryStill is the pause of a Memory's sweeper that counts as an outage.
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

// excuses says whether an outage explains a late retry: a pause of this process, in real time,
// whatever the store's clock says. The shard must be locked.
func (m *Memory) excuses(r *Rotation, age time.Duration) bool {
	return r.Outage.forgives(age, r.RetryWindow) || m.pulse.at(time.Now()).forgives(age, r.RetryWindow)
}

// at returns the last outage as seen at a time.
func (p *memoryPulse) at(now time.Time) Outage {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look(now)
	return Outage{p.end.Sub(p.began), now.Sub(p.end)}
}
