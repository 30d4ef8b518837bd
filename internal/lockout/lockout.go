package lockout

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Lockout limits the passwords that may be tried. An attempt is reserved before anything is hashed,
// so concurrent attempts cannot exceed the limit together; a reservation is given back if the
// attempt was no failure. While reservations and failures together reach a limit, a further attempt
// waits.
//
// Failures count by user and by address. An address from which the user logged in within KnownFor
// has a budget of its own. So attempts from elsewhere do not lock the owner out, and a new address
// gets no new budget.
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
	// pending is how long a reservation counts if its end is never recorded: longer than a password
	// check takes. A reservation whose answer was lost expires so, and locks no user out (V-03).
	pending = 10 * time.Second
	// MaxWait is how long an attempt waits for other attempts to end.
	MaxWait = 5 * time.Second
	// How many attempts of a node may wait at one user's limit, and at one address's.
	maxUserWaiters    = 64
	maxAddressWaiters = 256
	// poll is how often the first in line asks whether an attempt has ended on another node. Ends
	// on this node wake it at once.
	poll = 50 * time.Millisecond
)

// Target is the user whose failures are counted.
type Target struct {
	Key string // of one user, see users.Reservation.Key
	// Password is any text that changes with the password: a new password has no failures yet. It
	// is hashed with the key; "" where it is not known.
	Password string
	// Subject is the user's id, for operators; "": it is not known whose name it is.
	Subject string
}

// Reservation is one reserved login. Exactly one of Succeeded, Failed, Refused and Abandoned ends
// it.
type Reservation struct {
	g       *Lockout
	entry   EntryID
	origin  string
	until   time.Time // when it stops waiting
	address budget
	user    budget
	known   Subject
	named   *userSubjects // see ForUser; nil: users have no limit
	proved  *userSubjects // see Identified; nil: no other than named
}

// budget is a limit that an attempt counts against.
type budget struct {
	subject Subject
	limit   int // -1: none
	waiters int
}

// userSubjects are the subjects of the user that an attempt turned out to be about.
type userSubjects struct {
	budget Subject
	known  Subject

	key, subject string // of Target
	network      string // where budget counts; see Budget
}

// Verdict says whether an attempt may go on.
type Verdict int

// The verdicts.
const (
	Allowed       Verdict = iota
	UserLocked            // too many failures of this user: refuse like a wrong password
	AddressLocked         // too many failures from this address: refuse with 429
	Underway              // too many attempts at once for MaxWait: refuse with 503, whatever the password
)

// Begin reserves an attempt from an address, before the user directory is asked. The duration is
// how long AddressLocked lasts. After an error the attempt must not go on. Only an allowed attempt
// must be ended.
func (g *Lockout) Begin(ctx context.Context, address string) (*Reservation, Verdict, time.Duration, error) {
	a := &Reservation{g: g, entry: newEntryID(), origin: address, until: time.Now().Add(MaxWait),
		address: budget{addressSubject(address), g.perAddress, maxAddressWaiters}}
	held, err := a.await(ctx, a.address)
	return a, verdict(held, AddressLocked), held.Left, err
}

// ForUser reserves the attempt for a user as well. If it is not allowed, the reservation is ended.
// The duration is how long AddressLocked lasts.
func (a *Reservation) ForUser(ctx context.Context, u Target) (Verdict, time.Duration, error) {
	if a.g.perUser <= 0 {
		return Allowed, 0, nil
	}
	id, err := a.identify(ctx, u)
	if err != nil { // part of the store may be down: the rest must not lock users out (V-03)
		return 0, 0, errors.Join(err, a.release(ctx, a.address))
	}
	a.named, a.user, a.known = id, budget{id.budget, a.g.perUser, maxUserWaiters}, id.known
	return a.both(ctx)
}

// identify returns the budget of a user, or the owner's at an address that is known.
func (a *Reservation) identify(ctx context.Context, u Target) (*userSubjects, error) {
	id := &userSubjects{budget: SubjectOf("password.user", u.Key, u.Password), known: SubjectOf("password.known", u.Key, a.origin),
		key: u.Key, subject: u.Subject}
	known, err := a.g.counter.Kept(ctx, id.known)
	if known > 0 {
		id.budget, id.network = SubjectOf("password.owner", u.Key, u.Password, a.origin), a.origin
	}
	return id, err
}

// both reserves a place in the user's budget beside the address's. It never holds one while it
// waits for the other: an attempt that waits at one user's limit must not delay others of the same
// address.
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
	return a.g.counter.Hold(ctx, b.subject, a.entry, b.limit, pending)
}

// await reserves a place, and waits for one while other attempts are being checked: in line behind
// those of this node, of which only the first asks the counter.
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

// Identified adds the user that the directory found only after it checked the password. Failures
// count for that user too, however the name was spelled. UserLocked: that user has too many
// failures already.
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

// release gives a reservation back and wakes the first that waits for it.
func (a *Reservation) release(ctx context.Context, b budget) error {
	if b.limit <= 0 {
		return nil
	}
	defer a.g.lines.wake(b.subject)
	return a.g.counter.Release(ctx, b.subject, a.entry)
}

func (a *Reservation) keepAddress(ctx context.Context) error { return a.keep(ctx, a.address) }

func (a *Reservation) keep(ctx context.Context, b budget) error {
	if b.limit <= 0 {
		return nil
	}
	defer a.g.lines.wake(b.subject)
	return a.g.counter.Keep(ctx, b.subject, a.entry, a.g.window)
}

// Failed lets the attempt count for the window. After an error the client must not learn that the
// password was wrong: the attempt would not have counted.
func (a *Reservation) Failed(ctx context.Context) error {
	err := errors.Join(a.g.leave(ctx, a.named), a.keep(ctx, a.address), a.keep(ctx, a.user))
	if a.proved != nil {
		err = errors.Join(err, a.g.leave(ctx, a.proved), a.g.counter.Keep(ctx, a.proved.budget, a.entry, a.g.window))
	}
	return err
}

// Refused ends an attempt of a locked user: it says nothing of the password, and counts for the
// address alone.
func (a *Reservation) Refused(ctx context.Context) error {
	return errors.Join(a.keep(ctx, a.address), a.release(ctx, a.user))
}

// Succeeded forgets the failures of this budget, gives the reservations back, and remembers the
// address as the user's. It does as much of that as the store allows.
func (a *Reservation) Succeeded(ctx context.Context) error {
	err := a.release(ctx, a.address)
	if a.user.limit <= 0 {
		return err
	}
	defer a.g.lines.wake(a.user.subject)
	err = errors.Join(err, a.g.counter.Reset(ctx, a.user.subject, a.entry), a.g.counter.Keep(ctx, a.known, EntryID{}, KnownFor))
	if a.proved != nil {
		err = errors.Join(err, a.g.counter.Reset(ctx, a.proved.budget, a.entry), a.g.counter.Keep(ctx, a.proved.known, EntryID{}, KnownFor))
	}
	return err
}

// Abandoned gives the reservations back: the password was not checked, or the login failed for a
// reason that is not the user's. It does as much of that as the store allows.
func (a *Reservation) Abandoned(ctx context.Context) error {
	return errors.Join(a.release(ctx, a.address), a.release(ctx, a.user))
}
