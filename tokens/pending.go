package tokens

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Pending is a Store that remembers ends that it could not confirm, and asks for them again until it can: the caller was told
// 503 and may never come back, and a failover may have undone what an old primary did (S-22, S-23). Each is safe to
// repeat, and late is better than never. What a node remembers ends with it. Others hand it what is theirs: see Again.
type Pending struct {
	Store

	mu   sync.Mutex
	todo map[any]unconfirmed
}

type unconfirmed struct {
	do    func(context.Context) error
	until time.Time // when it is asked for no more
}

// The keys of what is remembered.
type (
	// revocation is what a client asked to end; or a family, by whoever may.
	revocation struct {
		token    Token
		clientID string
		family   bool
	}
	userEnd     struct{ tag Tag }
	clientState struct{ id string }
	clientRenew struct{ id string }
)

const (
	mostPending  = 10_000           // what comes beyond is the caller's to ask for again, as it was told
	pendingLife  = 15 * time.Minute // longer than failovers take
	pendingEvery = time.Second
	pendingBatch = 1000 // in one turn
	mostFailures = 3
)

// NewPending returns a Store over another. Run asks again.
func NewPending(s Store) *Pending {
	return &Pending{Store: s, todo: map[any]unconfirmed{}}
}

// Again does a thing until it is confirmed, for as long as failovers take. What was remembered under this key before is forgotten:
// do must be what the key's owner wants last.
func (p *Pending) Again(key any, do func(context.Context) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.todo[key]; known || len(p.todo) < mostPending {
		p.todo[key] = unconfirmed{do, time.Now().Add(pendingLife)}
	}
}

// Settled forgets what is remembered under a key.
func (p *Pending) Settled(key any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.todo, key)
}

// settle does a thing, and again later where it could not be confirmed.
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
		p.endFamilyAgain(tag, id)
	}
	return ended, err
}

func (p *Pending) endFamilyAgain(tag Tag, id SessionID) {
	p.Again(revocation{token: Token{Tag: tag, Session: id}, family: true}, func(ctx context.Context) error {
		_, err := p.Store.EndSession(ctx, tag, id)
		return err
	})
}

// EndUser implements Store.
func (p *Pending) EndUser(ctx context.Context, tag Tag) error {
	return p.EndUserOnce(ctx, tag, NewCall())
}

// EndUserOnce implements Store. A later end of the same user covers an earlier one.
func (p *Pending) EndUserOnce(ctx context.Context, tag Tag, call Call) error {
	return p.settle(ctx, userEnd{tag}, func(ctx context.Context) error { return p.Store.EndUserOnce(ctx, tag, call) })
}

// DisableClient implements Store.
func (p *Pending) DisableClient(ctx context.Context, id string, e Epoch) error {
	return p.settle(ctx, clientState{id}, func(ctx context.Context) error { return p.Store.DisableClient(ctx, id, e) })
}

// EnableClient implements Store: it takes back a disabling that is not confirmed yet.
func (p *Pending) EnableClient(ctx context.Context, id string, e Epoch) error {
	return p.settle(ctx, clientState{id}, func(ctx context.Context) error { return p.Store.EnableClient(ctx, id, e) })
}

// RenewClient implements Store.
func (p *Pending) RenewClient(ctx context.Context, id string, e Epoch) error {
	return p.settle(ctx, clientRenew{id}, func(ctx context.Context) error { return p.Store.RenewClient(ctx, id, e) })
}

// Rotate implements Store: a refresh that ends its session is refused at once, and the end is asked for until it is confirmed.
func (p *Pending) Rotate(ctx context.Context, r *Rotation) (*Rotated, error) {
	out, err := p.Store.Rotate(ctx, r)
	if g, ok := errors.AsType[*GrantError](err); ok && g.Unconfirmed != nil {
		p.endFamilyAgain(r.Old.Tag, r.Old.Session)
	}
	return out, err
}

// Len returns how much is unconfirmed.
func (p *Pending) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.todo)
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
	for key, u := range p.due() {
		if u.do(ctx) != nil {
			if failures++; failures == mostFailures {
				return
			}
			continue
		}
		p.mu.Lock()
		if now, known := p.todo[key]; known && now.until.Equal(u.until) { // it was not remembered anew meanwhile
			delete(p.todo, key)
		}
		p.mu.Unlock()
	}
}

// due returns some that are due, in no order, and forgets those on the way that were asked for long enough.
func (p *Pending) due() map[any]unconfirmed {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, list := time.Now(), map[any]unconfirmed{}
	for key, u := range p.todo {
		if !now.Before(u.until) {
			delete(p.todo, key)
		} else if list[key] = u; len(list) == pendingBatch {
			break
		}
	}
	return list
}
