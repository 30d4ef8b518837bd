package lockout

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Lockout bounds the passwords that may be tried. An attempt is reserved before anything is
// hashed, so attempts at one moment do not slip through together, and given back when it was no
// failure. A reservation is no failure: where the two together reach a limit, a further attempt
// waits for one to end.
//
// Failures count by user and by address. An address from which the user succeeded within KnownFor
// has a budget of its own, so strangers' guesses do not shut the owner out, and a new address is
// no new budget for anybody else.
type Lockout struct {
	counter    Counter
	perUser    int // -1: no limit
	perAddress int
	window     time.Duration
	lines      lines
}

// KnownFor is how long an address counts as the user's after a success.
const KnownFor = 30 * 24 * time.Hour

// New returns limits of failures in a window; -1 is no limit.
func New(counter Counter, perUser, perAddress int, window time.Duration) *Lockout {
	return &Lockout{counter: counter, perUser: perUser, perAddress: perAddress, window: window}
}

const (
	// pending is how long an attempt counts of which nobody says how it ended: longer than a
	// password takes to be found wrong. What was counted by a command whose answer was lost ends so
	// by itself, and locks nobody out (V-03).
	pending = 10 * time.Second
	// MaxWait is how long an attempt waits for others to end.
	MaxWait = 5 * time.Second
	// How many attempts of a node wait for one user's others, and for those of one address.
	maxUserWaiters    = 64
	maxAddressWaiters = 256
	// poll is how often the first in line asks whether an attempt has ended on another node. Those
	// of this node tell it themselves.
	poll = 50 * time.Millisecond
)

// Target is whose failures are counted.
type Target struct {
	Key string // of one user, see users.Reservation.Key
	// Password is any text that is another when the password is set anew: a new password has no
	// failures yet. It is hashed with the key; "" where nobody knows.
	Password string
}

// Reservation is one reserved log-in. Exactly one of Succeeded, Failed, Refused and Abandoned
// ends it.
type Reservation struct {
	g       *Lockout
	event   EntryID
	origin  string
	until   time.Time // it does not wait longer
	address budget
	user    budget
	known   Subject
	proved  *identity // see Is; nil: no other than user
}

// budget is what an attempt counts in.
type budget struct {
	subject Subject
	limit   int // -1: none
	waiters int
}

// identity is the user that an attempt turned out to be about.
type identity struct {
	budget Subject
	known  Subject
}

// Verdict says whether an attempt may go on.
type Verdict int

// The verdicts.
const (
	Allowed       Verdict = iota
	UserLocked            // too many failures of this user: refuse like a wrong password
	AddressLocked         // too many failures from this address: refuse with 429
	Underway              // too many other attempts were under way for MaxWait: refuse with 503; it says nothing of the password
)

// Begin reserves an attempt from an address, before the directory is asked. For AddressLocked it
// says how long. An error means that it could not be counted, and the attempt must not go on; only
// an allowed one must be ended.
func (g *Lockout) Begin(ctx context.Context, address string) (*Reservation, Verdict, time.Duration, error) {
	a := &Reservation{g: g, event: newEntryID(), origin: address, until: time.Now().Add(MaxWait),
		address: budget{SubjectOf("password.address", address), g.perAddress, maxAddressWaiters}}
	held, err := a.await(ctx, a.address)
	return a, verdict(held, AddressLocked), held.Left, err
}

// Of reserves the attempt for a user as well. It is ended where it is not allowed. For
// AddressLocked it says how long.
func (a *Reservation) ForUser(ctx context.Context, u Target) (Verdict, time.Duration, error) {
	if a.g.perUser <= 0 {
		return Allowed, 0, nil
	}
	id, err := a.identify(ctx, u)
	if err != nil { // half of the counters' store may be away: the other half must not lock everybody out (V-03)
		return 0, 0, errors.Join(err, a.release(ctx, a.address))
	}
	a.user, a.known = budget{id.budget, a.g.perUser, maxUserWaiters}, id.known
	return a.both(ctx)
}

// identify returns the budget of a user, or the owner's at an address that is known.
func (a *Reservation) identify(ctx context.Context, u Target) (*identity, error) {
	id := &identity{SubjectOf("password.user", u.Key, u.Password), SubjectOf("password.known", u.Key, a.origin)}
	known, err := a.g.counter.Kept(ctx, id.known)
	if known > 0 {
		id.budget = SubjectOf("password.owner", u.Key, u.Password, a.origin)
	}
	return id, err
}

// both reserves a place in the user's budget beside the address's. It never holds the one while it
// waits for the other: who waits for a user's attempts must not keep others of the same address
// waiting.
func (a *Reservation) both(ctx context.Context) (Verdict, time.Duration, error) {
	has, wants, locked := a.address, a.user, UserLocked
	for {
		held, err := a.try(ctx, wants)
		if err != nil {
			return 0, 0, errors.Join(err, a.release(ctx, has))
		}
		if held.Result == Held {
			return Allowed, 0, nil
		}
		if err := a.release(ctx, has); err != nil {
			return 0, 0, err
		}
		if held.Result == Busy {
			held, err = a.await(ctx, wants)
		}
		if err != nil || held.Result != Held {
			if err == nil && held.Result == Full && locked == UserLocked {
				err = a.keepAddress(ctx)
			}
			return verdict(held, locked), held.Left, err
		}
		has, wants, locked = wants, has, AddressLocked+UserLocked-locked
	}
}

func verdict(h Hold, locked Verdict) Verdict {
	switch h.Result {
	case Held:
		return Allowed
	case Full:
		return locked
	}
	return Underway
}

// try reserves a place in a budget, or says at once why there is none.
func (a *Reservation) try(ctx context.Context, b budget) (Hold, error) {
	if b.limit <= 0 {
		return Hold{}, nil
	}
	return a.g.counter.Hold(ctx, b.subject, a.event, b.limit, pending)
}

// await reserves a place, and waits for one while other attempts are under way: in line behind
// those of this node, of which the first alone asks the counter.
func (a *Reservation) await(ctx context.Context, b budget) (Hold, error) {
	if !a.g.lines.waiting(b.subject) {
		if held, err := a.try(ctx, b); err != nil || held.Result != Busy {
			return held, err
		}
	}
	turn, ok := a.g.lines.join(b.subject, b.waiters)
	if !ok {
		return Hold{Result: Busy}, nil
	}
	defer a.g.lines.leave(b.subject, turn)
	timeout := time.NewTimer(time.Until(a.until))
	defer timeout.Stop()
	var again <-chan time.Time // never, until it is our turn
	for {
		select {
		case <-turn:
		case <-again:
		case <-timeout.C:
			return Hold{Result: Busy}, nil
		case <-ctx.Done():
			return Hold{}, ctx.Err()
		}
		if held, err := a.try(ctx, b); err != nil || held.Result != Busy {
			return held, err
		}
		again = time.After(poll/2 + rand.N(poll)) // #nosec G404 -- a delay, no secret
	}
}

// Is tells an attempt which user it turned out to be about, where the directory knew only after it
// was shown the password. Failures count for that user too, however the name was spelled.
// UserLocked: the user has too many already.
func (a *Reservation) Identified(ctx context.Context, u Target) (Verdict, error) {
	if a.g.perUser <= 0 {
		return Allowed, nil
	}
	id, err := a.identify(ctx, u)
	if err != nil {
		return 0, err
	}
	a.proved = id
	kept, err := a.g.counter.Kept(ctx, id.budget)
	if err == nil && kept >= a.g.perUser {
		return UserLocked, nil
	}
	return Allowed, err
}

// release gives a reservation back and tells the first who waits for it.
func (a *Reservation) release(ctx context.Context, b budget) error {
	if b.limit <= 0 {
		return nil
	}
	defer a.g.lines.wake(b.subject)
	return a.g.counter.Release(ctx, b.subject, a.event)
}

func (a *Reservation) keepAddress(ctx context.Context) error { return a.keep(ctx, a.address) }

func (a *Reservation) keep(ctx context.Context, b budget) error {
	if b.limit <= 0 {
		return nil
	}
	defer a.g.lines.wake(b.subject)
	return a.g.counter.Keep(ctx, b.subject, a.event, a.g.window)
}

// Failed lets the attempt count for the window. After an error the caller must not tell the client
// that the password was wrong: it would be a guess for nothing.
func (a *Reservation) Failed(ctx context.Context) error {
	err := errors.Join(a.keep(ctx, a.address), a.keep(ctx, a.user))
	if a.proved != nil {
		err = errors.Join(err, a.g.counter.Keep(ctx, a.proved.budget, a.event, a.g.window))
	}
	return err
}

// Refused ends an attempt of a user who is locked: it says nothing of the password, and counts for
// the address alone.
func (a *Reservation) Refused(ctx context.Context) error {
	return errors.Join(a.keep(ctx, a.address), a.release(ctx, a.user))
}

// Succeeded forgets the failures of this budget, gives the reservations back, and remembers the
// address as the user's. It does as much of that as the store lets it.
func (a *Reservation) Succeeded(ctx context.Context) error {
	err := a.release(ctx, a.address)
	if a.user.limit <= 0 {
		return err
	}
	defer a.g.lines.wake(a.user.subject)
	err = errors.Join(err, a.g.counter.Reset(ctx, a.user.subject, a.event), a.g.counter.Keep(ctx, a.known, EntryID{}, KnownFor))
	if a.proved != nil {
		err = errors.Join(err, a.g.counter.Reset(ctx, a.proved.budget, a.event), a.g.counter.Keep(ctx, a.proved.known, EntryID{}, KnownFor))
	}
	return err
}

// Abandoned gives the reservations back: the password was not looked at, or the log-in failed
// through no fault of the user's. It gives back as much as the store lets it.
func (a *Reservation) Abandoned(ctx context.Context) error {
	return errors.Join(a.release(ctx, a.address), a.release(ctx, a.user))
}
