package users

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/scopes"
)

// NewUser is what Add needs to know.
type NewUser struct {
	ID           string // "": a random one
	Username     string // normalised by Add
	PasswordHash string // see Hash and CheckHash
	Scope        *scopes.Rules
	Disabled     bool
}

// Add stores a new user, and returns it with ErrNotConfirmed too. It returns ErrExists when the name or the id is taken; of
// concurrent calls with one name, one succeeds. Errors about what it was given are
// *MalformedError or plain, those of Redis wrap ErrUnavailable.
func (d *Redis) Add(ctx context.Context, n NewUser) (*User, error) {
	r, err := newRecord(n)
	if err != nil {
		return nil, err
	}
	held, unconfirmed := d.write(ctx, claim, idKey(r.ID), r.ID, r.String())
	switch {
	case failed(unconfirmed):
		return nil, unconfirmed
	case held != r.String():
		return nil, fmt.Errorf("%w: the id is taken", ErrExists)
	}
	err = d.claimName(ctx, r)
	if errors.Is(err, ErrExists) {
		_, undone := d.take(ctx, idKey(r.ID), r.ID, r.String())
		return nil, errors.Join(err, undone)
	}
	if failed(err) {
		return nil, err
	}
	u, wrong := r.user()
	return u, errors.Join(wrong, unconfirmed, err)
}

// claimName makes the name point to r, also where it points to a record that Redis has lost.
// ErrExists where the holder lives.
func (d *Redis) claimName(ctx context.Context, r *userRecord) error {
	key := nameKey(r.Username)
	holder, err := d.write(ctx, claim, key, r.Username, r.ID)
	if failed(err) || holder == r.ID {
		return err
	}
	if _, err := d.read(ctx, idKey(holder), holder); !errors.Is(err, ErrUnknown) {
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

// Disable stops log-ins and refreshes. ErrUnknown where there is no such user.
func (d *Redis) Disable(ctx context.Context, id string) error {
	return d.change(ctx, id, func(r *userRecord) { r.Disabled = true })
}

// Enable undoes Disable.
func (d *Redis) Enable(ctx context.Context, id string) error {
	return d.change(ctx, id, func(r *userRecord) { r.Disabled = false })
}

// changeTries bounds the repetitions of a change that others overtake.
const changeTries = 16

// change edits a record by compare-and-swap.
func (d *Redis) change(ctx context.Context, id string, edit func(*userRecord)) error {
	for range changeTries {
		before, err := d.read(ctx, idKey(id), id)
		if err != nil {
			return err
		}
		r, err := parseRecord(before)
		if err != nil {
			return err
		}
		edit(r)
		after := r.String()
		held, err := d.write(ctx, swap, idKey(id), id, before, after)
		d.remember(id, err, func(ctx context.Context) error {
			if _, err := d.write(ctx, swap, idKey(id), id, before, after); errors.Is(err, ErrNotConfirmed) || !errors.Is(err, ErrUnknown) {
				return err
			}
			return nil // the user is gone
		})
		if failed(err) || held == after {
			return err
		}
	}
	return redisFailed(errors.New("others keep changing this user"))
}

// Delete removes a user and frees the name. ErrUnknown where there is no such user, and that is confirmed like a deletion. Both steps
// are done, whatever the first one's confirmation says.
func (d *Redis) Delete(ctx context.Context, id string) error {
	for range changeTries {
		text, err := d.read(ctx, idKey(id), id)
		if errors.Is(err, ErrUnknown) {
			_, unconfirmed := d.take(ctx, idKey(id), id, "")
			return errors.Join(err, unconfirmed)
		}
		if err != nil {
			return err
		}
		var unconfirmed error
		if r, err := parseRecord(text); err == nil {
			if _, unconfirmed = d.take(ctx, nameKey(r.Username), r.Username, id); failed(unconfirmed) {
				return unconfirmed
			}
		}
		gone, err := d.take(ctx, idKey(id), id, text)
		d.remember(id, err, func(ctx context.Context) error { _, err := d.take(ctx, idKey(id), id, text); return err })
		if gone || failed(err) {
			return errors.Join(unconfirmed, err)
		}
	}
	return redisFailed(errors.New("others keep changing this user"))
}

// List yields every user once, in no order, in small pages; it may miss one that comes or goes
// meanwhile. An entry that cannot be read comes as an error that wraps ErrRecord and does not
// end the list; an error that wraps ErrUnavailable does.
func (d *Redis) List(ctx context.Context) iter.Seq2[*User, error] {
	return func(yield func(*User, error) bool) {
		for shard := range shards {
			if !d.listShard(ctx, fmt.Sprintf("user:id:%02x", shard), yield) {
				return
			}
		}
	}
}

// pageSize is about how many entries one round trip of List brings.
const pageSize = 200

// listShard yields one shard's users and says whether to go on. HSCAN may repeat an entry.
func (d *Redis) listShard(ctx context.Context, key string, yield func(*User, error) bool) bool {
	seen := map[any]bool{}
	for cursor := "0"; ; {
		pairs, next, err := d.page(ctx, key, cursor, pageSize)
		if err != nil {
			yield(nil, err)
			return false
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			text, _ := pairs[i+1].(string)
			if seen[pairs[i]] {
				continue
			}
			seen[pairs[i]] = true
			if !yield(userOf(text)) {
				return false
			}
		}
		if cursor = next; cursor == "0" {
			return true
		}
	}
}

// Page returns about size users and the cursor of the next page: "" begins, and "" is the end. Users that come or go meanwhile
// may be missed; one may come twice. An entry that cannot be read ends it with an error that wraps ErrRecord.
func (d *Redis) Page(ctx context.Context, cursor string, size int) (list []*User, next string, err error) {
	shard, at, err := readCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	for shard < shards && len(list) < size {
		pairs, following, err := d.page(ctx, fmt.Sprintf("user:id:%02x", shard), at, size)
		if err != nil {
			return nil, "", err
		}
		for i := 1; i < len(pairs); i += 2 {
			text, _ := pairs[i].(string)
			u, err := userOf(text)
			if err != nil {
				return nil, "", err
			}
			list = append(list, u)
		}
		if at = following; at == "0" {
			shard++
		}
	}
	if shard >= shards {
		return list, "", nil
	}
	return list, writeCursor(shard, at), nil
}

// writeCursor names a place in the list: the shard, and the cursor of its HSCAN.
func writeCursor(shard uint64, at string) string { return fmt.Sprintf("%x.%s", shard, at) }

// readCursor reads what writeCursor wrote, and nothing else: Redis would answer a cursor that is no number with an error.
func readCursor(text string) (shard uint64, at string, err error) {
	if text == "" {
		return 0, "0", nil
	}
	left, right, _ := strings.Cut(text, ".")
	shard, err = strconv.ParseUint(left, 16, 64)
	_, wrong := strconv.ParseUint(right, 10, 64)
	if err != nil || wrong != nil || shard >= shards {
		return 0, "", &MalformedError{"cursor", "must be the next_cursor of an earlier answer"}
	}
	return shard, right, nil
}
