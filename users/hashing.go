package users

import (
	"context"
	"errors"
	"time"
)

// Directory is where users and their password hashes are kept. Both methods may be called by any
// number of goroutines and take one round trip or two. They return ErrUnknown where there is
// no such user, the user itself where it is disabled, an error that wraps ErrRecord where the
// entry is unusable, and any other error where the directory cannot know. The
// Credential of a user holds the stored hash (see CheckHash); an empty one refuses.
type Directory interface {
	// Find returns the user with a normalised login name.
	Find(ctx context.Context, name string) (*User, error)
	// ByID returns the user with an id.
	ByID(ctx context.Context, id string) (*User, error)
}

// Hashing is the Authenticator on a Directory of password hashes.
type Hashing struct {
	dir   Directory
	slots *Slots
	usual *census
	pace  pace
}

// NewHashing returns an Authenticator on dir. slots bound all hashing of the process: give every
// Authenticator the same. It computes one hash, so that Decline knows its pace from the start.
func NewHashing(dir Directory, slots *Slots) *Hashing {
	h := &Hashing{dir: dir, slots: slots, usual: newCensus()}
	if known, ok := dir.(interface {
		hashes() map[string]passwordHash
	}); ok {
		for id, hash := range known.hashes() {
			h.usual.count(id, hash)
		}
	}
	start := time.Now()
	h.usual.dummy().matches("")
	h.pace.note(time.Since(start))
	return h
}

// Lookup implements Authenticator.
func (h *Hashing) Lookup(ctx context.Context, login Login) (*Attempt, error) {
	a := &Attempt{login: login}
	u, err := h.dir.Find(ctx, login.name)
	switch {
	case err == nil:
		a.user = u
	case errors.Is(err, ErrUnknown):
		a.refused = ReasonUnknown
	default: // a row that cannot be used, too: it is the directory's fault, and the password is not wrong
		return nil, asUnavailable(err)
	}
	return a, nil
}

// Verify implements Authenticator. Whatever Lookup found, it computes one hash: the user's own, or
// one that costs what this directory's hashes usually cost (docs/evidence/conformance.md S-02,
// S-05).
func (h *Hashing) Verify(ctx context.Context, a *Attempt) (*User, error) {
	hash := h.hashOf(a)
	start := time.Now()
	ok, err := h.slots.match(ctx, hash, a.login.password)
	if err != nil {
		return nil, err
	}
	h.pace.note(time.Since(start))
	switch {
	case a.refused != "":
		return nil, a.refuse(a.refused)
	case !ok:
		return nil, a.refuse(ReasonPassword)
	case a.user.Disabled:
		return nil, a.refuse(ReasonDisabled)
	}
	return a.user, nil
}

// hashOf returns what Verify compares with. Where that is a dummy, a.refused says why.
func (h *Hashing) hashOf(a *Attempt) passwordHash {
	if a.user == nil {
		return h.usual.dummy()
	}
	hash, err := parseHash(a.user.Credential.text)
	if err != nil {
		a.refused, a.cause = ReasonNoPassword, err
		return h.usual.dummy()
	}
	h.usual.count(a.user.ID, hash)
	return hash
}

// Decline implements Authenticator.
func (h *Hashing) Decline(ctx context.Context) { h.pace.wait(ctx) }

// Slots implements Authenticator.
func (h *Hashing) Slots() *Slots { return h.slots }

// Recheck implements Authenticator. An entry that cannot be used is no reason to end what
// stands: a mistake in a query must not log everybody out.
func (h *Hashing) Recheck(ctx context.Context, id string) (*User, error) {
	u, err := h.dir.ByID(ctx, id)
	switch {
	case errors.Is(err, ErrUnknown):
		return nil, ErrGone
	case err != nil:
		return nil, asUnavailable(err)
	case u.ID != id:
		return nil, unusableAnswer("recheck", errors.New("asked for one id, the directory returned another"))
	case u.Disabled:
		return nil, ErrGone
	}
	return u, nil
}

// asUnavailable makes sure that an error of a Directory reads as ErrUnavailable.
func asUnavailable(err error) error {
	switch {
	case errors.Is(err, ErrRecord):
		return &DirectoryError{[]error{ErrUnavailable, ErrRecord}, err}
	case errors.Is(err, ErrUnavailable):
		return err
	}
	return &DirectoryError{[]error{ErrUnavailable}, err}
}
