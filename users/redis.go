package users

import (
	"context"
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Redis is the Directory that Grantor manages itself. Users are data: unlike everything that
// tokens rest on, they have no lifetime.
//
// They lie in 64 hashes by id ("user:id:00" … "user:id:3f": id → record) and 64 by name
// ("user:name:…": normalised name → id), chosen by SHA-256, so that no text that somebody typed is part
// of a key's name, and no operation needs two keys of one slot. A name points to a record
// that exists: it is claimed after the record was written and given up before the record
// goes. A crash in between leaves a record without a name, which List shows, nobody can log in
// by, and Delete removes.
//
// Disabling a user or setting a password is seen by the next log-in and refresh everywhere. To
// end tokens that are out, the caller ends the user's epoch, after these methods have returned.
type Redis struct {
	Again Repeater // nil: what could not be confirmed is the caller's to repeat

	db *redisdb.DB
}

// Repeater does again, until it is confirmed, what could not be; tokens.Pending is one.
type Repeater interface {
	// Again remembers what to do; what it knew under this key before is forgotten.
	Again(key any, do func(context.Context) error)
	// Settled forgets it: something later was confirmed.
	Settled(key any)
}

// unconfirmedChange names the last change of a user that could not be confirmed.
type unconfirmedChange struct{ id string }

// remember has an unconfirmed change done again. do compares what it finds: later changes are safe from it.
func (d *Redis) remember(id string, err error, do func(context.Context) error) {
	switch {
	case d.Again == nil:
	case err == nil:
		d.Again.Settled(unconfirmedChange{id})
	case errors.Is(err, ErrNotConfirmed):
		d.Again.Again(unconfirmedChange{id}, do)
	}
}

// ErrNotConfirmed: the change was made, and fewer replicas have it than were asked for; a failover may undo it. Whatever stands beside
// it holds.
var ErrNotConfirmed = redisdb.ErrNotDurable

// NewRedis returns the directory in an open Redis.
func NewRedis(db *redisdb.DB) *Redis { return &Redis{db: db} }

// The scripts. Each touches one field of one hash and may be executed twice.
var (
	// read returns a field.
	read = redisdb.NewScript(`return redis.call('HGET', KEYS[1], ARGV[1])`)
	// claim sets a field that does not exist, and returns what it holds then.
	claim = redisdb.NewScript(`redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], ARGV[1])`)
	// swap sets a field that holds what the caller read, so that no change undoes another, and
	// returns what it holds then.
	swap = redisdb.NewScript(`if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
	redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return redis.call('HGET', KEYS[1], ARGV[1])`)
	// yield removes a field that holds what the caller believes, and returns what it holds then.
	yield = redisdb.NewScript(`if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
	redis.call('HDEL', KEYS[1], ARGV[1]) end
return redis.call('HGET', KEYS[1], ARGV[1])`)
	// scan returns a page of a hash.
	scan = redisdb.NewScript(`return redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])`)
)

func idKey(id string) string     { return fmt.Sprintf("user:id:%02x", shardOf(id)) }
func nameKey(name string) string { return fmt.Sprintf("user:name:%02x", shardOf(name)) }

// Find implements Directory.
func (d *Redis) Find(ctx context.Context, name string) (*User, error) {
	id, err := d.read(ctx, nameKey(name), name)
	if err != nil {
		return nil, err
	}
	u, err := d.ByID(ctx, id)
	if err == nil && u.Username != name {
		return nil, ErrUnknown
	}
	return u, err
}

// ByID implements Directory.
func (d *Redis) ByID(ctx context.Context, id string) (*User, error) {
	text, err := d.read(ctx, idKey(id), id)
	if err != nil {
		return nil, err
	}
	return userOf(text)
}

// read returns one field, or ErrUnknown where it does not exist.
func (d *Redis) read(ctx context.Context, key, field string) (string, error) {
	v, err := d.db.Eval(ctx, read, []string{key}, field)
	return heldText(v, err)
}

// write runs a script that changes a field, as durably as Redis was told to be, and returns what
// the field holds then: ErrUnknown where it does not exist. With ErrNotConfirmed it returns it too.
func (d *Redis) write(ctx context.Context, s *redisdb.Script, key string, args ...any) (string, error) {
	v, err := d.db.EvalDurable(ctx, s, []string{key}, args...)
	if !errors.Is(err, ErrNotConfirmed) {
		return heldText(v, err)
	}
	text, ok := v.(string)
	if !ok {
		return "", errors.Join(ErrUnknown, err)
	}
	return text, err
}

// take removes a field that holds value, and says whether the field is gone; with ErrNotConfirmed too.
func (d *Redis) take(ctx context.Context, key, field, value string) (gone bool, err error) {
	v, err := d.db.EvalDurable(ctx, yield, []string{key}, field, value)
	if failed(err) {
		err = redisFailed(err)
	}
	return v == nil && !failed(err), err
}

// failed says whether a change was not made: ErrNotConfirmed is none.
func failed(err error) bool { return err != nil && !errors.Is(err, ErrNotConfirmed) }

func heldText(v any, err error) (string, error) {
	text, ok := v.(string)
	switch {
	case err != nil:
		return "", redisFailed(err)
	case v == nil:
		return "", ErrUnknown
	case !ok:
		return "", redisFailed(errors.New("unexpected answer"))
	}
	return text, nil
}

// page returns some fields and values of a hash, and where to go on: "0" is the end.
func (d *Redis) page(ctx context.Context, key, cursor string, size int) (pairs []any, next string, err error) {
	v, err := d.db.Eval(ctx, scan, []string{key}, cursor, size)
	if err != nil {
		return nil, "", redisFailed(err)
	}
	if answer, ok := v.([]any); ok && len(answer) == 2 {
		next, ok = answer[0].(string)
		pairs, ok2 := answer[1].([]any)
		if ok && ok2 {
			return pairs, next, nil
		}
	}
	return nil, "", redisFailed(errors.New("unexpected answer"))
}

// redisFailed marks an error of Redis as ErrUnavailable. It is unwrapped: it holds nothing that a request could be to blame for, and says
// whether a change was made.
func redisFailed(err error) error { return fmt.Errorf("%w: redis: %w", ErrUnavailable, err) }
