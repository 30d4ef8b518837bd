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

// Outage is a time without service, as seen from now: how long it was, and how long ago it ended.
// The zero value: there was none.
type Outage struct{ Length, Since time.Duration }

func lastOutage(p Pulse) Outage {
	if p == nil {
		return Outage{}
	}
	length, returned := p.Outage()
	return Outage{length, time.Since(returned)}
}

// forgives says whether a retry comes now, age after its rotation, through this outage. Time in
// which we could not answer does not count: within the window of the return of service no session
// ends whose rotation was within the window of the beginning.
func (o Outage) forgives(age, window time.Duration) bool {
	return o.Length > 0 && window > 0 && o.Since <= window+retryDelay && age <= o.Since+o.Length+window
}

// forgives says whether a retry came too late through an outage. It looks before it judges: a
// request may come sooner after an outage than the next beat.
func (s *Redis) forgives(ctx context.Context, r *Rotation, age time.Duration) (bool, error) {
	if r.Outage.forgives(age, r.RetryWindow) || s.pulse == nil {
		return r.Outage.forgives(age, r.RetryWindow), nil
	}
	if err := s.pulse.Once(ctx); err != nil {
		return false, err
	}
	return lastOutage(s.pulse).forgives(age, r.RetryWindow), nil
}

// excuses is forgives by what is known already.
func (s *Redis) excuses(r *Rotation, age time.Duration) bool {
	return r.Outage.forgives(age, r.RetryWindow) || lastOutage(s.pulse).forgives(age, r.RetryWindow)
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

// excuses says whether a retry came late through an outage: a pause of this process, in real time, whatever the store's
// clock says. The shard must be locked.
func (m *Memory) excuses(r *Rotation, age time.Duration) bool {
	return r.Outage.forgives(age, r.RetryWindow) || m.pulse.at(time.Now()).forgives(age, r.RetryWindow)
}

// at returns the last outage as seen at a moment.
func (p *memoryPulse) at(now time.Time) Outage {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look(now)
	return Outage{p.end.Sub(p.began), now.Sub(p.end)}
}
