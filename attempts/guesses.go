package attempts

import (
	"context"
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

// Attempt is one reserved log-in.
type Attempt struct {
	g       *Guesses
	user    Subject // the budget that it counts in
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
	a := &Attempt{g: g, user: SubjectOf("password.user", user), address: SubjectOf("password.address", address),
		known: SubjectOf("password.known", user, address)}
	if g.perAddress > 0 {
		n, left, err := g.counter.Add(ctx, a.address, g.window)
		if err != nil {
			return nil, 0, 0, err
		}
		if n > g.perAddress {
			return a, AddressLocked, left, nil
		}
	}
	if g.perUser > 0 {
		known, err := g.counter.Count(ctx, a.known)
		if err != nil {
			return nil, 0, 0, err
		}
		if known > 0 {
			a.user = SubjectOf("password.owner", user, address)
		}
		n, _, err := g.counter.Add(ctx, a.user, g.window)
		if err != nil {
			return nil, 0, 0, err
		}
		if n > g.perUser {
			return a, UserLocked, 0, nil
		}
	}
	return a, Allowed, 0, nil
}

// Succeeded forgets the failures of this budget, gives the address's reservation back, and
// remembers the address as the user's.
func (a *Attempt) Succeeded(ctx context.Context) error {
	if a.g.perAddress > 0 {
		if err := a.g.counter.Undo(ctx, a.address); err != nil {
			return err
		}
	}
	if a.g.perUser <= 0 {
		return nil
	}
	if err := a.g.counter.Reset(ctx, a.user); err != nil {
		return err
	}
	if err := a.g.counter.Reset(ctx, a.known); err != nil { // its 30 days begin anew
		return err
	}
	_, _, err := a.g.counter.Add(ctx, a.known, KnownFor)
	return err
}

// Abandoned gives the reservation back: the password was not looked at.
func (a *Attempt) Abandoned(ctx context.Context) error {
	if a.g.perAddress > 0 {
		if err := a.g.counter.Undo(ctx, a.address); err != nil {
			return err
		}
	}
	if a.g.perUser > 0 {
		return a.g.counter.Undo(ctx, a.user)
	}
	return nil
}
