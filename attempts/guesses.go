package attempts

import (
	"context"
	"errors"
	"time"
)

// Guesses bounds the passwords that may be tried. An attempt is reserved before anything is hashed, so
// attempts at one moment do not slip through together, and given back when it was no failure.
//
// Failures count by user and by address. An address from which the user succeeded within KnownFor has a
// budget of its own, so strangers' guesses do not shut the owner out, and a new address is no new
// budget for anybody else.
type Guesses struct {
	counter    Counter
	perUser    int // -1: no limit
	perAddress int
	window     time.Duration
}

// KnownFor is how long an address counts as the user's after a success.
const KnownFor = 30 * 24 * time.Hour

// NewGuesses returns limits of failures in a window; -1 is no limit.
func NewGuesses(counter Counter, perUser, perAddress int, window time.Duration) *Guesses {
	return &Guesses{counter, perUser, perAddress, window}
}

// pending is how long an attempt counts of which nobody says how it ended: longer than any log-in takes. What was counted by a
// command whose answer was lost ends so by itself, and locks nobody out (V-03).
const pending = 10 * time.Second

// Attempt is one reserved log-in. Exactly one of Succeeded, Failed and Abandoned ends it.
type Attempt struct {
	g       *Guesses
	event   Event
	user    Subject // the budget that it counts in
	owner   Subject // the budget at addresses that are known
	known   Subject
	address Subject
}

// Verdict says whether an attempt may go on.
type Verdict int

// The verdicts.
const (
	Allowed       Verdict = iota
	UserLocked            // too many failures of this user: refuse like a wrong password
	AddressLocked         // too many failures from this address: refuse with 429
)

// Reserve counts an attempt of user from address. For AddressLocked it says how long. An error means
// that it could not be counted, and the attempt must not go on.
func (g *Guesses) Reserve(ctx context.Context, user, address string) (*Attempt, Verdict, time.Duration, error) {
	a := &Attempt{g: g, event: newEvent(), user: SubjectOf("password.user", user), address: SubjectOf("password.address", address),
		known: SubjectOf("password.known", user, address), owner: SubjectOf("password.owner", user, address)}
	if g.perAddress > 0 {
		n, left, err := g.counter.Hold(ctx, a.address, a.event, g.perAddress, pending)
		if err != nil {
			return nil, 0, 0, err
		}
		if n > g.perAddress {
			return a, AddressLocked, left, nil
		}
	}
	if g.perUser <= 0 {
		return a, Allowed, 0, nil
	}
	n, err := a.count(ctx)
	if err != nil { // half of the counters' store may be away: the other half must not lock everybody out (V-03)
		return nil, 0, 0, errors.Join(err, a.releaseAddress(ctx))
	}
	if n > g.perUser {
		return a, UserLocked, 0, a.keepAddress(ctx)
	}
	return a, Allowed, 0, nil
}

// count counts the attempt in the user's budget, or in the owner's at an address that is known.
func (a *Attempt) count(ctx context.Context) (int, error) {
	known, err := a.g.counter.Held(ctx, a.known)
	if err != nil {
		return 0, err
	}
	if known > 0 {
		a.user = a.owner
	}
	n, _, err := a.g.counter.Hold(ctx, a.user, a.event, a.g.perUser, pending)
	return n, err
}

func (a *Attempt) releaseAddress(ctx context.Context) error {
	if a.g.perAddress <= 0 {
		return nil
	}
	return a.g.counter.Release(ctx, a.address, a.event)
}

func (a *Attempt) keepAddress(ctx context.Context) error {
	if a.g.perAddress <= 0 {
		return nil
	}
	return a.g.counter.Keep(ctx, a.address, a.event, a.g.window)
}

// Failed lets the attempt count for the window. After an error the caller must not tell the client that the password was wrong: it
// would be a guess for nothing.
func (a *Attempt) Failed(ctx context.Context) error {
	err := a.keepAddress(ctx)
	if a.g.perUser > 0 {
		err = errors.Join(err, a.g.counter.Keep(ctx, a.user, a.event, a.g.window))
	}
	return err
}

// Succeeded forgets the failures of this budget, gives the address's reservation back, and
// remembers the address as the user's. It does as much of that as the store lets it.
func (a *Attempt) Succeeded(ctx context.Context) error {
	err := a.releaseAddress(ctx)
	if a.g.perUser <= 0 {
		return err
	}
	return errors.Join(err, a.g.counter.Reset(ctx, a.user), a.g.counter.Keep(ctx, a.known, Event{}, KnownFor))
}

// Abandoned gives the reservation back: the password was not looked at, or the log-in failed through no fault
// of the user's. It gives back as much as the store lets it.
func (a *Attempt) Abandoned(ctx context.Context) error {
	err := a.releaseAddress(ctx)
	if a.g.perUser > 0 {
		err = errors.Join(err, a.g.counter.Release(ctx, a.user, a.event))
	}
	return err
}
