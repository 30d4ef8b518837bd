package users

import (
	"context"
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/registry"
)

// Redis is the Directory that Grantor manages itself. Users are data: unlike everything that tokens
// rest on, they have no lifetime.
//
// They are registry.Records of 64 shards each: by id ("user:id:00" … "user:id:3f": id → record) and
// by name ("user:name:…": normalised name → id). No operation needs two keys of one slot. A name
// points to a record that exists: it is claimed after the record was written and given up before
// the record goes. A crash in between leaves a record without a name, which List shows, nobody can
// log in by, and Delete removes.
//
// Disabling a user or setting a password is seen by the next login and refresh everywhere. To end
// tokens that are out, the caller ends the user's epoch, after these methods have returned.
type Redis struct {
	Again registry.Repeater // nil: what could not be confirmed is the caller's to repeat

	db         *redisdb.DB
	ids, names *registry.Records
}

// ErrNotConfirmed: the change was made, and fewer replicas have it than were asked for; a failover
// may undo it. Whatever stands beside it holds.
var ErrNotConfirmed = redisdb.ErrNotDurable

// NewRedis returns the directory in an open Redis.
func NewRedis(db *redisdb.DB) *Redis {
	return &Redis{db: db, ids: registry.New(db, "user:id:", shards), names: registry.New(db, "user:name:", shards)}
}

// shards is how many hashes ids and names are spread over. It never changes.
const shards = 64

// repeat has an unconfirmed change of a user done again.
func (d *Redis) repeat(id string, err error, do func(context.Context) error) {
	d.ids.Repeat(d.Again, id, err, do, ErrNotConfirmed)
}

// The scripts. Each touches one field of one hash and may be executed twice.
var (
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
)

// Find implements Directory.
func (d *Redis) Find(ctx context.Context, name string) (*User, error) {
	id, err := read(ctx, d.names, name)
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
	text, err := read(ctx, d.ids, id)
	if err != nil {
		return nil, err
	}
	return userOf(text)
}

// read returns one field of a registry, or ErrUnknown where it does not exist.
func read(ctx context.Context, from *registry.Records, field string) (string, error) {
	text, err := from.Read(ctx, field)
	return text, ownError(err)
}

// ownError turns an error of a registry into one of this package.
func ownError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, registry.ErrUnknown):
		return ErrUnknown
	case errors.Is(err, registry.ErrCursor):
		return &MalformedError{"cursor", "must be the next_cursor of an earlier answer"}
	case errors.Is(err, registry.ErrOvertaken):
		return redisFailed(errors.New("others keep changing this user"))
	}
	return redisFailed(err)
}

// write runs a script that changes a field, as durably as Redis is configured to be, and returns
// what the field holds then: ErrUnknown where it does not exist. With ErrNotConfirmed it returns it
// too.
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

// take removes a field that holds value, and says whether the field is gone; with ErrNotConfirmed
// too.
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

// redisFailed marks an error of Redis as ErrUnavailable. It is unwrapped: it holds nothing that a
// request could be to blame for, and says whether a change was made.
func redisFailed(err error) error { return fmt.Errorf("%w: redis: %w", ErrUnavailable, err) }
