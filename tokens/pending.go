package tokens

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Pending is a Store that repeats revocations until they are confirmed. The caller got 503 and may
// never return, and a failover may have undone what the old primary did (S-22, S-23). A repetition
// is safe. What a node remembers is lost with the node. Other packages add theirs by Again.
type Pending struct {
	Store

	mu   sync.Mutex
	todo map[any]pendingEnd
}

type pendingEnd struct {
	do    func(context.Context) error
	until time.Time // no repetitions after this
}

// What a Pending remembers is known by one of these keys.
type (
	// revocation is of a token by its client, or of a session by an operator.
	revocation struct {
		token    Token
		clientID string
		session  bool
	}
	userEnd     struct{ tag Tag }
	clientState struct{ id string }
	clientRenew struct{ id string }
)

const (
	maxPending   = 10_000           // beyond that the caller repeats, as its 503 said
	pendingTTL   = 15 * time.Minute // longer than a failover takes
	pendingEvery = time.Second
	pendingBatch = 1000 // repetitions in one round
	maxFailures  = 3
)

// NewPending returns a Pending over a Store. Run repeats.
func NewPending(s Store) *Pending {
	return &Pending{Store: s, todo: map[any]pendingEnd{}}
}

// Again repeats do until it returns nil, for at most 15 minutes. It replaces what the key stood
// for: do must be what the owner of the key wants last.
func (p *Pending) Again(key any, do func(context.Context) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.todo[key]; known || len(p.todo) < maxPending {
		p.todo[key] = pendingEnd{do, time.Now().Add(pendingTTL)}
	}
}

// Settled forgets a key.
func (p *Pending) Settled(key any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.todo, key)
}

// settle calls do now, and again later if it fails.
func (p *Pending) settle(ctx context.Context, key any, do func(context.Context) error) error {
	err := do(ctx)
	if err != nil {
		p.Again(key, do)
	} else {
		p.Settled(key)
	}
	return err
}

// Revoke implements Store.
func (p *Pending) Revoke(ctx context.Context, t Token, clientID string) (bool, error) {
	ended, err := p.Store.Revoke(ctx, t, clientID)
	if err != nil {
		p.Again(revocation{token: t, clientID: clientID}, func(ctx context.Context) error {
			_, err := p.Store.Revoke(ctx, t, clientID)
			return err
		})
	}
	return ended, err
}

// EndSession implements Store.
func (p *Pending) EndSession(ctx context.Context, tag Tag, id SessionID) (bool, error) {
	ended, err := p.Store.EndSession(ctx, tag, id)
	if err != nil {
		p.endSessionAgain(tag, id)
	}
	return ended, err
}

func (p *Pending) endSessionAgain(tag Tag, id SessionID) {
	p.Again(revocation{token: Token{Tag: tag, Session: id}, session: true}, func(ctx context.Context) error {
		_, err := p.Store.EndSession(ctx, tag, id)
		return err
	})
}

// EndUser implements Store.
func (p *Pending) EndUser(ctx context.Context, tag Tag) error {
	return p.EndUserOnce(ctx, tag, NewCall())
}

// EndUserOnce implements Store. A later end of a user covers an earlier one.
func (p *Pending) EndUserOnce(ctx context.Context, tag Tag, call Call) error {
	return p.settle(ctx, userEnd{tag}, func(ctx context.Context) error { return p.Store.EndUserOnce(ctx, tag, call) })
}

// DisableClient implements Store.
func (p *Pending) DisableClient(ctx context.Context, id string, e Epoch) error {
	return p.settle(ctx, clientState{id}, func(ctx context.Context) error { return p.Store.DisableClient(ctx, id, e) })
}

// EnableClient implements Store. It replaces a disabling that is not confirmed yet.
func (p *Pending) EnableClient(ctx context.Context, id string, e Epoch) error {
	return p.settle(ctx, clientState{id}, func(ctx context.Context) error { return p.Store.EnableClient(ctx, id, e) })
}

// RenewClient implements Store.
func (p *Pending) RenewClient(ctx context.Context, id string, e Epoch) error {
	return p.settle(ctx, clientRenew{id}, func(ctx context.Context) error { return p.Store.RenewClient(ctx, id, e) })
}

// Rotate implements Store. A refusal that ends the session is returned at once; the end is repeated
// until it is confirmed.
func (p *Pending) Rotate(ctx context.Context, r *Rotation) (*Rotated, error) {
	out, err := p.Store.Rotate(ctx, r)
	if g, ok := errors.AsType[*GrantError](err); ok && g.Unconfirmed != nil {
		p.endSessionAgain(r.Old.Tag, r.Old.Session)
	}
	return out, err
}

// Len returns how many calls are not confirmed.
func (p *Pending) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.todo)
}

// Run repeats every second, until ctx ends.
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

// again repeats what is due. A few failures end the round: the store is away, and more calls would
// load it. One failure does not: a record that this version cannot read must not stop the others.
func (p *Pending) again(ctx context.Context) {
	failures := 0
	for key, u := range p.due() {
		if u.do(ctx) != nil {
			if failures++; failures == maxFailures {
				return
			}
			continue
		}
		p.mu.Lock()
		if now, known := p.todo[key]; known && now.until.Equal(u.until) { // not replaced meanwhile
			delete(p.todo, key)
		}
		p.mu.Unlock()
	}
}

// due returns some of what is remembered, in no order. It forgets what has expired.
func (p *Pending) due() map[any]pendingEnd {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, list := time.Now(), map[any]pendingEnd{}
	for key, u := range p.todo {
		if !now.Before(u.until) {
			delete(p.todo, key)
		} else if list[key] = u; len(list) == pendingBatch {
			break
		}
	}
	return list
}
