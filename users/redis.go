package users

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-redis/redis/v8"
)

// RedisCommands is what the directory needs of a Redis client. Reads must come from primaries. Every
// command touches one key, so it works on one server, Sentinel and Cluster alike.
type RedisCommands interface {
	HGet(ctx context.Context, key, field string) *redis.StringCmd
	HSetNX(ctx context.Context, key, field string, value any) *redis.BoolCmd
	HDel(ctx context.Context, key string, fields ...string) *redis.IntCmd
	HScan(ctx context.Context, key string, cursor uint64, match string, count int64) *redis.ScanCmd
	Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd
}

// Redis is the Directory that Grantor manages itself. Users are data: unlike everything that
// tokens rest on, they have no lifetime.
//
// They lie in 64 hashes by id ("user:id:00" … "user:id:3f": id → record) and 64 by name
// ("user:name:…": normalised name → id), chosen by SHA-256, so that no text that somebody typed is part
// of a key's name. A name points to a record that exists: it is claimed after the record was
// written and given up before the record goes. A crash in between leaves a record without a name,
// which List shows, nobody can log in by, and Delete removes.
//
// Disabling a user or setting a password is seen by the next log-in and refresh everywhere. To
// end tokens that are out, the caller ends the user's epoch, after these methods have returned.
type Redis struct {
	db     RedisCommands
	prefix string
}

// NewRedis returns the directory under a prefix of key names, such as "grantor:".
func NewRedis(db RedisCommands, prefix string) *Redis { return &Redis{db, prefix} }

const (
	// swap sets a field if it holds what the caller read, so that no change undoes another.
	swap = `if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
	redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) return 1 end return 0`
	// give removes a field if it still holds what the caller believes.
	give = `if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
	return redis.call('HDEL', KEYS[1], ARGV[1]) end return 0`
)

func (d *Redis) idKey(id string) string { return fmt.Sprintf("%suser:id:%02x", d.prefix, shardOf(id)) }
func (d *Redis) nameKey(name string) string {
	return fmt.Sprintf("%suser:name:%02x", d.prefix, shardOf(name))
}

// Find implements Directory.
func (d *Redis) Find(ctx context.Context, name string) (*User, error) {
	id, err := d.get(ctx, d.nameKey(name), name)
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
	text, err := d.get(ctx, d.idKey(id), id)
	if err != nil {
		return nil, err
	}
	r, err := parseRecord(text)
	if err != nil {
		return nil, err
	}
	return r.user()
}

// get returns one field, or ErrUnknown where it does not exist.
func (d *Redis) get(ctx context.Context, key, field string) (string, error) {
	text, err := d.db.HGet(ctx, key, field).Result()
	if errors.Is(err, redis.Nil) {
		return "", ErrUnknown
	}
	if err != nil {
		return "", unavailable("redis", err)
	}
	return text, nil
}

// claim sets a field that does not exist yet; ErrExists when it holds something else.
func (d *Redis) claim(ctx context.Context, key, field, value string) error {
	fresh, err := d.db.HSetNX(ctx, key, field, value).Result()
	if err != nil {
		return unavailable("redis", err)
	}
	if fresh {
		return nil
	}
	if held, err := d.get(ctx, key, field); err != nil || held == value {
		return err
	}
	return ErrExists
}

// eval runs a script that answers 0 when something else is there; that is ErrExists.
func (d *Redis) eval(ctx context.Context, script, key string, args ...any) error {
	n, err := d.db.Eval(ctx, script, []string{key}, args...).Int()
	if err != nil {
		return unavailable("redis", err)
	}
	if n == 0 {
		return ErrExists
	}
	return nil
}
