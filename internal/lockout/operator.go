package lockout

import (
	"context"
	"errors"
	"strings"
	"time"
)

// What an operator asks: whose login is locked, and may it be unlocked? Counters are hashes, so
// each failure also leaves a note that names them: one among those of its user, and one among the
// newest of all users. Notes expire with the failures. A name that is nobody's leaves as many, so
// that the time of an answer does not tell it.

// Budget is one limit of a user's failures.
type Budget struct {
	Network  string        // from which the user has logged in before; "": all other addresses together
	Failures int           // that count now
	Limit    int           // -1: none
	Locked   time.Duration // until an attempt may be made again; 0: at once
}

// UserBudget is a budget of the user of an id.
type UserBudget struct {
	Subject string
	Budget
}

const (
	// maxUserNotes bounds the budgets of one user: networks from which the user has logged in.
	maxUserNotes = 256
	// MaxRecent is how many budgets Recent looks at: those with the newest failures.
	MaxRecent = 1000
)

// note names a budget: its counter, the network where it counts, and whose it is.
type note struct {
	counter          Subject
	network, subject string
}

func (n note) text() string { return string(n.counter[:]) + n.network + "\n" + n.subject }

// readNote returns what note.text wrote.
func readNote(text string) (n note, ok bool) {
	if len(text) < len(n.counter) {
		return n, false
	}
	n.counter = Subject([]byte(text[:len(n.counter)]))
	n.network, n.subject, ok = strings.Cut(text[len(n.counter):], "\n")
	return n, ok
}

func notesOf(key string) Subject { return SubjectOf("password.budgets", key) }

// recentOf are the newest failures of users; nobody reads those of names that are nobody's.
func recentOf(nobody bool) Subject {
	if nobody {
		return SubjectOf("password.recent.nobody")
	}
	return SubjectOf("password.recent")
}

// leave writes the notes of a failure, before it counts: no failure that counts lacks its notes.
func (g *Lockout) leave(ctx context.Context, u *userSubjects) error {
	if u == nil {
		return nil
	}
	text := note{u.budget, u.network, u.subject}.text()
	err := g.counter.Note(ctx, notesOf(u.key), text, g.window, maxUserNotes)
	if err != nil {
		return err
	}
	return g.counter.Note(ctx, recentOf(u.subject == ""), text, g.window, MaxRecent)
}

// Budgets returns the budgets of the given keys (see Target.Key) in which failures count now.
func (g *Lockout) Budgets(ctx context.Context, keys ...string) (list []Budget, err error) {
	err = g.each(ctx, keys, func(n note, b Budget) error {
		list = append(list, b)
		return nil
	})
	return list, err
}

// Unlock forgets the failures of the given keys, and returns how many there were. Attempts under
// way go on. What it could not forget is in the error.
func (g *Lockout) Unlock(ctx context.Context, keys ...string) (failures int, err error) {
	err = g.each(ctx, keys, func(n note, b Budget) error {
		if err := g.counter.Reset(ctx, n.counter, EntryID{}); err != nil {
			return err
		}
		g.lines.wake(n.counter)
		failures += b.Failures
		return nil
	})
	return failures, err
}

// each calls do with the budgets of keys in which failures count.
func (g *Lockout) each(ctx context.Context, keys []string, do func(note, Budget) error) error {
	var failed error
	for _, key := range keys {
		texts, err := g.counter.Noted(ctx, notesOf(key))
		failed = errors.Join(failed, err)
		for _, text := range texts {
			n, ok := readNote(text)
			if !ok {
				continue
			}
			b, err := g.budget(ctx, n)
			if err == nil && b.Failures > 0 {
				err = do(n, b)
			}
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// budget counts the failures of a budget.
func (g *Lockout) budget(ctx context.Context, n note) (Budget, error) {
	return g.count(ctx, n.counter, n.network, g.perUser)
}

func (g *Lockout) count(ctx context.Context, s Subject, network string, limit int) (Budget, error) {
	left, err := g.counter.Entries(ctx, s)
	b := Budget{Network: network, Failures: len(left), Limit: limit}
	if limit > 0 && len(left) >= limit {
		b.Locked = left[len(left)-limit]
	}
	return b, err
}

// Recent returns which users are locked, as far as the newest MaxRecent budgets tell. A name that
// is nobody's is not among them.
func (g *Lockout) Recent(ctx context.Context) ([]UserBudget, error) {
	texts, err := g.counter.Noted(ctx, recentOf(false))
	if err != nil {
		return nil, err
	}
	var list []UserBudget
	for _, text := range texts {
		n, ok := readNote(text)
		if !ok {
			continue
		}
		b, err := g.budget(ctx, n)
		if err != nil {
			return nil, err
		}
		if b.Locked > 0 {
			list = append(list, UserBudget{n.subject, b})
		}
	}
	return list, nil
}

// Address returns the failures of all users from an address, as Begin counts them.
func (g *Lockout) Address(ctx context.Context, address string) (Budget, error) {
	return g.count(ctx, addressSubject(address), address, g.perAddress)
}

// UnlockAddress forgets the failures of all users from an address, and returns how many there were.
func (g *Lockout) UnlockAddress(ctx context.Context, address string) (failures int, err error) {
	b, err := g.Address(ctx, address)
	if err != nil {
		return 0, err
	}
	return b.Failures, g.counter.Reset(ctx, addressSubject(address), EntryID{})
}

func addressSubject(address string) Subject { return SubjectOf("password.address", address) }
