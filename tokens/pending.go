package tokens

import (
	"context"
	"sync"
	"time"
)

// Pending is a Store that remembers revocations whose end it could not confirm, and asks for them again until it can: the caller was told
// 503 and may never come back, and a failover may have undone what an old primary did (S-22, S-23). A revocation is safe to
// repeat, and late is better than never. What a node remembers ends with it.
type Pending struct {
	Store

	mu   sync.Mutex
	todo map[revocation]time.Time // until when it is asked for again
}

// revocation is what a client asked to end; or a family, by whoever may.
type revocation struct {
	token    Token
	clientID string
	family   bool
}

const (
	mostPending  = 10_000           // what comes beyond is the caller's to ask for again, as it was told
	pendingLife  = 15 * time.Minute // longer than failovers take
	pendingEvery = time.Second
	pendingBatch = 1000 // in one turn
	mostFailures = 3
)

// NewPending returns a Store over another. Run asks again.
func NewPending(s Store) *Pending {
	return &Pending{Store: s, todo: map[revocation]time.Time{}}
}

// Revoke implements Store.
func (p *Pending) Revoke(ctx context.Context, t Token, clientID string) (bool, error) {
	ended, err := p.Store.Revoke(ctx, t, clientID)
	if err != nil {
		p.remember(revocation{token: t, clientID: clientID})
	}
	return ended, err
}

// EndFamily implements Store.
func (p *Pending) EndFamily(ctx context.Context, tag Tag, id FamilyID) (bool, error) {
	ended, err := p.Store.EndFamily(ctx, tag, id)
	if err != nil {
		p.remember(revocation{token: Token{Tag: tag, Family: id}, family: true})
	}
	return ended, err
}

// Len returns how many revocations are unconfirmed.
func (p *Pending) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.todo)
}

func (p *Pending) remember(r revocation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.todo[r]; known || len(p.todo) < mostPending {
		p.todo[r] = time.Now().Add(pendingLife)
	}
}

// Run asks for what is unconfirmed every second, until ctx ends.
func (p *Pending) Run(ctx context.Context) {
	tick := time.NewTicker(pendingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.again(ctx)
		}
	}
}

// again asks for some. It stops after a few failures: the store is still away, and the rest would only load it. One failure says less:
// a record that this version cannot read must not stand before the others.
func (p *Pending) again(ctx context.Context) {
	failures := 0
	for _, r := range p.due() {
		var err error
		if r.family {
			_, err = p.Store.EndFamily(ctx, r.token.Tag, r.token.Family)
		} else {
			_, err = p.Store.Revoke(ctx, r.token, r.clientID)
		}
		if err != nil {
			if failures++; failures == mostFailures {
				return
			}
			continue
		}
		p.mu.Lock()
		delete(p.todo, r)
		p.mu.Unlock()
	}
}

// due returns some that are due, in no order, and forgets those on the way that were asked for long enough.
func (p *Pending) due() (list []revocation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for r, until := range p.todo {
		if !now.Before(until) {
			delete(p.todo, r)
		} else if list = append(list, r); len(list) == pendingBatch {
			break
		}
	}
	return list
}
