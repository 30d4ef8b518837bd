package users

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/scopes"
)

// NewUser is what Add needs to know.
type NewUser struct {
	ID           string // "": a random one
	Username     string // normalised by Add
	PasswordHash string // see Hash and CheckHash
	Scope        *scopes.Rules
	Claims       claims.Set
	Disabled     bool
}

// Add stores a new user, and returns it with ErrNotConfirmed too. It returns ErrExists when the
// name or the id is taken; of concurrent calls with one name, one succeeds. Errors about what it
// was given are *MalformedError or plain, those of Redis wrap ErrUnavailable.
func (d *Redis) Add(ctx context.Context, n NewUser) (*User, error) {
	r, err := newRecord(n)
	if err != nil {
		return nil, err
	}
	held, unconfirmed := d.write(ctx, claim, d.ids.Key(r.ID), r.ID, r.String())
	switch {
	case failed(unconfirmed):
		return nil, unconfirmed
	case held != r.String():
		return nil, fmt.Errorf("%w: the id is taken", ErrExists)
	}
	err = d.claimName(ctx, r)
	if errors.Is(err, ErrExists) {
		_, undone := d.take(ctx, d.ids.Key(r.ID), r.ID, r.String())
		return nil, errors.Join(err, undone)
	}
	if failed(err) {
		return nil, err
	}
	u, wrong := r.user()
	return u, errors.Join(wrong, unconfirmed, err)
}

// claimName makes the name point to r, also where it points to a record that Redis has lost.
// ErrExists where the holder exists.
func (d *Redis) claimName(ctx context.Context, r *userRecord) error {
	key := d.names.Key(r.Username)
	holder, err := d.write(ctx, claim, key, r.Username, r.ID)
	if failed(err) || holder == r.ID {
		return err
	}
	if _, err := read(ctx, d.ids, holder); !errors.Is(err, ErrUnknown) {
		return errors.Join(fmt.Errorf("%w: the name is taken", ErrExists), err)
	}
	holder, err = d.write(ctx, swap, key, r.Username, holder, r.ID)
	if !failed(err) && holder != r.ID {
		err = fmt.Errorf("%w: the name is taken", ErrExists)
	}
	return err
}

// SetPassword gives a user another password hash. ErrUnknown where there is no such user.
func (d *Redis) SetPassword(ctx context.Context, id, hash string) error {
	if err := CheckHash(hash); err != nil {
		return err
	}
	return d.change(ctx, id, func(r *userRecord) { r.Password = hash })
}

// SetScope sets the most that the user's tokens may carry; nil: none of the user's own.
func (d *Redis) SetScope(ctx context.Context, id string, scope *scopes.Rules) error {
	text, err := writeScope(scope)
	if err != nil {
		return err
	}
	return d.change(ctx, id, func(r *userRecord) { r.Scope = text })
}

// ChangeClaims sets the custom claims of the user's tokens to what change makes of those that the
// user has. Tokens that are out keep theirs. change may be called more than once.
func (d *Redis) ChangeClaims(ctx context.Context, id string, change func(had claims.Set) claims.Set) error {
	var refused error
	err := d.change(ctx, id, func(r *userRecord) {
		now := change(r.Claims)
		if refused = now.Check(); refused == nil {
			r.Claims = now
		}
	})
	return errors.Join(refused, err)
}

// Disable stops logins and refreshes. ErrUnknown where there is no such user.
func (d *Redis) Disable(ctx context.Context, id string) error {
	return d.change(ctx, id, func(r *userRecord) { r.Disabled = true })
}

// Enable undoes Disable.
func (d *Redis) Enable(ctx context.Context, id string) error {
	return d.change(ctx, id, func(r *userRecord) { r.Disabled = false })
}

// untilDone reads a user's record and has it changed, until try says that this is done or fails.
func (d *Redis) untilDone(ctx context.Context, id string, try func(before string) (done bool, err error)) error {
	var own error
	err := d.ids.Change(ctx, id, func(before string) (done bool, _ error) {
		done, own = try(before)
		return done || own != nil, nil
	})
	if err != nil {
		return ownError(err)
	}
	return own
}

// change edits a record by compare-and-swap.
func (d *Redis) change(ctx context.Context, id string, edit func(*userRecord)) error {
	return d.untilDone(ctx, id, func(before string) (bool, error) {
		r, err := parseRecord(before)
		if err != nil {
			return true, err
		}
		edit(r)
		after := r.String()
		swapped := func(ctx context.Context) (string, error) {
			return d.write(ctx, swap, d.ids.Key(id), id, before, after)
		}
		held, err := swapped(ctx)
		d.repeat(id, err, func(ctx context.Context) error {
			_, err := swapped(ctx)
			if errors.Is(err, ErrUnknown) && !errors.Is(err, ErrNotConfirmed) {
				return nil // the user is gone
			}
			return err
		})
		if failed(err) || held == after {
			return true, err
		}
		return false, nil // overtaken
	})
}

// Delete removes a user and frees the name. ErrUnknown where there is no such user, and that is
// confirmed like a deletion. Both steps are done, whatever the first one's confirmation says.
func (d *Redis) Delete(ctx context.Context, id string) error {
	err := d.untilDone(ctx, id, func(text string) (bool, error) { return d.remove(ctx, id, text) })
	if errors.Is(err, ErrUnknown) {
		_, unconfirmed := d.take(ctx, d.ids.Key(id), id, "")
		return errors.Join(err, unconfirmed)
	}
	return err
}

// remove frees the name of a user whose record has this text, and then removes the record; false:
// others changed it.
func (d *Redis) remove(ctx context.Context, id, text string) (done bool, err error) {
	var unconfirmed error
	if r, err := parseRecord(text); err == nil {
		if _, unconfirmed = d.take(ctx, d.names.Key(r.Username), r.Username, id); failed(unconfirmed) {
			return true, unconfirmed
		}
		if later, err := d.freeNames(ctx, r); later != nil || err != nil {
			if unconfirmed = errors.Join(unconfirmed, later); err != nil {
				return true, errors.Join(err, unconfirmed)
			}
		}
	}
	gone, err := d.take(ctx, d.ids.Key(id), id, text)
	d.repeat(id, err, func(ctx context.Context) error {
		_, err := d.take(ctx, d.ids.Key(id), id, text)
		return err
	})
	if gone || failed(err) {
		return true, errors.Join(unconfirmed, err)
	}
	return false, nil
}

// List yields every user once, in no order, in small pages; it may miss one that comes or goes
// meanwhile. An entry that cannot be read comes as an error that wraps ErrRecord and does not end
// the list; an error that wraps ErrUnavailable does.
func (d *Redis) List(ctx context.Context) iter.Seq2[*User, error] {
	return func(yield func(*User, error) bool) {
		for e, err := range d.ids.All(ctx) {
			if err != nil {
				yield(nil, ownError(err))
				return
			}
			if !yield(userOf(e.Text)) {
				return
			}
		}
	}
}

// Page returns about size users and the cursor of the next page: "" begins, and "" is the end.
// Users that come or go meanwhile may be missed; one may come twice. An entry that cannot be read
// ends it with an error that wraps ErrRecord.
func (d *Redis) Page(ctx context.Context, cursor string, size int) (list []*User, next string, err error) {
	entries, next, err := d.ids.List(ctx, cursor, size)
	if err != nil {
		return nil, "", ownError(err)
	}
	for _, e := range entries {
		u, err := userOf(e.Text)
		if err != nil {
			return nil, "", err
		}
		list = append(list, u)
	}
	return list, next, nil
}
