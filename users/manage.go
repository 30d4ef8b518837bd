package users

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/grantor-auth/grantor/scopes"
)

// NewUser is what Add needs to know.
type NewUser struct {
	ID           string // "": a random one
	Username     string // normalised by Add
	PasswordHash string // see Hash and CheckHash
	Scope        *scopes.Rules
}

// Add stores a new user. It returns ErrExists when the name or the id is taken; of
// concurrent calls with one name, one succeeds. Repeating a call that the network layer executed
// twice is harmless.
func (d *Redis) Add(ctx context.Context, n NewUser) (*User, error) {
	r, err := newRecord(n)
	if err != nil {
		return nil, err
	}
	if err := d.claim(ctx, d.idKey(r.ID), r.ID, r.String()); err != nil {
		return nil, err
	}
	err = d.claim(ctx, d.nameKey(r.Username), r.Username, r.ID)
	if errors.Is(err, ErrExists) {
		err = d.takeOver(ctx, r)
	}
	if errors.Is(err, ErrExists) {
		err = errors.Join(err, d.eval(ctx, give, d.idKey(r.ID), r.ID, r.String()))
	}
	if err != nil {
		return nil, err
	}
	return r.user()
}

// takeOver claims a name whose holder is gone: Redis lost the record and kept the name. ErrExists
// where the holder lives.
func (d *Redis) takeOver(ctx context.Context, r *record) error {
	key := d.nameKey(r.Username)
	holder, err := d.get(ctx, key, r.Username)
	if err != nil {
		return err
	}
	if _, err := d.get(ctx, d.idKey(holder), holder); !errors.Is(err, ErrUnknown) {
		return errors.Join(ErrExists, err)
	}
	if err := d.eval(ctx, swap, key, r.Username, holder, r.ID); !errors.Is(err, ErrExists) {
		return err
	}
	return d.claim(ctx, key, r.Username, r.ID) // nil where the network layer executed the swap twice
}

// swapTries bounds the repetitions of a change that others overtake.
const swapTries = 16

// SetPassword gives a user another password hash. ErrUnknown where there is no such user.
func (d *Redis) SetPassword(ctx context.Context, id, hash string) error {
	if err := CheckHash(hash); err != nil {
		return err
	}
	return d.change(ctx, id, func(r *record) { r.Password = hash })
}

// SetScope sets the most that the user's tokens may carry; nil: none of the user's own.
func (d *Redis) SetScope(ctx context.Context, id string, scope *scopes.Rules) error {
	var text *string
	if scope != nil {
		if err := CheckScope(*scope); err != nil {
			return err
		}
		s := scope.String()
		text = &s
	}
	return d.change(ctx, id, func(r *record) { r.Scope = text })
}

// Disable stops log-ins and refreshes. ErrUnknown where there is no such user.
func (d *Redis) Disable(ctx context.Context, id string) error {
	return d.change(ctx, id, func(r *record) { r.Disabled = true })
}

// Enable undoes Disable.
func (d *Redis) Enable(ctx context.Context, id string) error {
	return d.change(ctx, id, func(r *record) { r.Disabled = false })
}

// change edits a record by compare-and-swap.
func (d *Redis) change(ctx context.Context, id string, edit func(*record)) error {
	key := d.idKey(id)
	for range swapTries {
		before, err := d.get(ctx, key, id)
		if err != nil {
			return err
		}
		r, err := parseRecord(before)
		if err != nil {
			return err
		}
		edit(r)
		if r.String() == before {
			return nil
		}
		if err := d.eval(ctx, swap, key, id, before, r.String()); !errors.Is(err, ErrExists) {
			return err
		}
	}
	return unavailable("redis", errors.New("others keep changing this user"))
}

// Delete removes a user and frees the name. ErrUnknown where there is no such user.
func (d *Redis) Delete(ctx context.Context, id string) error {
	u, err := d.ByID(ctx, id)
	if err != nil && !errors.Is(err, ErrRecord) {
		return err
	}
	if u != nil {
		if err := d.eval(ctx, give, d.nameKey(u.Username), u.Username, id); err != nil && !errors.Is(err, ErrExists) {
			return err
		}
	}
	if err := d.db.HDel(ctx, d.idKey(id), id).Err(); err != nil {
		return unavailable("redis", err)
	}
	return nil
}

// List yields every user once, in no order, in small pages; it may miss one that comes or goes
// meanwhile. It stops after the first error that is not one entry's own (ErrRecord).
func (d *Redis) List(ctx context.Context) iter.Seq2[*User, error] {
	return func(yield func(*User, error) bool) {
		for shard := range shards {
			if !d.listShard(ctx, shard, yield) {
				return
			}
		}
	}
}

// pageSize is how many entries one round trip of List asks for.
const pageSize = 200

// listShard yields one shard's users and says whether to go on. HSCAN may repeat an entry.
func (d *Redis) listShard(ctx context.Context, shard int, yield func(*User, error) bool) bool {
	seen := map[string]bool{}
	for cursor := uint64(0); ; {
		page, next, err := d.db.HScan(ctx, fmt.Sprintf("%suser:id:%02x", d.prefix, shard), cursor, "", pageSize).Result()
		if err != nil {
			yield(nil, unavailable("redis", err))
			return false
		}
		for i := 0; i+1 < len(page); i += 2 {
			if seen[page[i]] {
				continue
			}
			seen[page[i]] = true
			if !yield(userOf(page[i+1])) {
				return false
			}
		}
		if cursor = next; cursor == 0 {
			return true
		}
	}
}

func userOf(text string) (*User, error) {
	r, err := parseRecord(text)
	if err != nil {
		return nil, err
	}
	return r.user()
}
