package redisdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis/v8"
)

// do runs a command that may be repeated, on the server that has the key.
func (d *DB) do(ctx context.Context, key string, cmd redis.Cmder) error {
	if err := d.drain.enter(); err != nil {
		return err
	}
	defer d.drain.leave()
	n, err := d.nodeOf(ctx, key)
	if err != nil {
		return wrap(err)
	}
	err = n.pipeline.do(ctx, cmd)
	if err != nil && d.elsewhere(err) {
		err = d.anywhere().Process(endless(ctx), cmd)
	}
	return err
}

// elsewhere says whether a server refused a command only because another server has the key. v8
// follows such an answer for a single command, but not for a pipeline.
func (d *DB) elsewhere(err error) bool {
	text, answered := reply(err)
	switch {
	case answered:
		return slices.Contains([]string{"READONLY", "MOVED", "ASK", "TRYAGAIN"}, code(text))
	case d.cluster != nil:
		return errors.Is(err, redis.ErrClosed) // it has left the cluster
	}
	return false
}

// anywhere is the client that finds the server of a command by itself.
func (d *DB) anywhere() redis.UniversalClient {
	if d.cluster != nil {
		return d.cluster
	}
	return d.single.repeat
}

// Set writes a key for ttl, which must be at least a millisecond: every key has a lifetime.
func (d *DB) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl < time.Millisecond {
		return errLifetime
	}
	key = d.Key(key)
	return wrap(d.do(ctx, key, redis.NewStatusCmd(ctx, "set", key, value, "px", ttl.Milliseconds())))
}

var errLifetime = errors.New("redisdb: a key needs a lifetime of a millisecond or more")

// Get reads a key, or ErrNil.
func (d *DB) Get(ctx context.Context, key string) ([]byte, error) {
	key = d.Key(key)
	cmd := redis.NewStringCmd(ctx, "get", key)
	if err := d.do(ctx, key, cmd); err != nil {
		return nil, wrapRead(err)
	}
	return cmd.Bytes()
}

// MGet reads keys of one slot, at least one; a missing one is nil.
func (d *DB) MGet(ctx context.Context, keys ...string) ([][]byte, error) {
	args := d.keysOf("mget", keys)
	cmd := redis.NewSliceCmd(ctx, args...)
	if err := d.do(ctx, args[1].(string), cmd); err != nil {
		return nil, wrapRead(err)
	}
	out := make([][]byte, len(keys))
	if len(cmd.Val()) != len(keys) {
		return nil, fmt.Errorf("%w: %d values for %d keys", ErrRefused, len(cmd.Val()), len(keys))
	}
	for i, v := range cmd.Val() {
		if text, ok := v.(string); ok {
			out[i] = []byte(text)
		}
	}
	return out, nil
}

// Del removes keys of one slot, at least one, and returns how many existed. After a retry that
// number may be too low.
func (d *DB) Del(ctx context.Context, keys ...string) (int64, error) {
	args := d.keysOf("del", keys)
	cmd := redis.NewIntCmd(ctx, args...)
	err := d.do(ctx, args[1].(string), cmd)
	return cmd.Val(), wrap(err)
}

func (d *DB) keysOf(name string, keys []string) []any {
	args := make([]any, 1, 1+len(keys))
	args[0] = name
	for _, k := range keys {
		args = append(args, d.Key(k))
	}
	return args
}

// Ping checks that Redis answers. Of a Cluster one server must answer: if a few keys are out of
// reach, the node still serves the others.
func (d *DB) Ping(ctx context.Context) error {
	var alive atomic.Bool
	var last atomic.Value
	err := d.eachPrimary(ctx, func(ctx context.Context, client *redis.Client) error {
		if err := client.Ping(ctx).Err(); err != nil {
			last.Store(boxed{err})
			return nil
		}
		alive.Store(true)
		return nil
	})
	if failed, _ := last.Load().(boxed); err == nil && !alive.Load() {
		return wrapRead(failed.error)
	}
	return err
}

// SetNX writes value for ttl unless the key exists, and says whether the key holds value
// afterwards. The value must be unique, such as a random number: by it a retry recognises its own
// write.
func (d *DB) SetNX(ctx context.Context, key string, value []byte, ttl time.Duration) (bool, error) {
	if ttl < time.Millisecond {
		return false, errLifetime
	}
	v, err := d.Eval(ctx, setNX, []string{key}, value, ttl.Milliseconds())
	return v == int64(1), err
}

var setNX = NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
return 0`)

// SetNXGet writes value unless the key exists, and returns what the key holds afterwards. In both
// cases the key expires ttl from now.
func (d *DB) SetNXGet(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, error) {
	if ttl < time.Millisecond {
		return nil, errLifetime
	}
	v, err := d.Eval(ctx, setNXGet, []string{key}, value, ttl.Milliseconds())
	if err != nil {
		return nil, err
	}
	text, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("%w: SET NX and GET answered a %T", ErrRefused, v)
	}
	return []byte(text), nil
}

var setNXGet = NewScript(`
local v = redis.call('GET', KEYS[1])
if v then
  redis.pcall('PEXPIRE', KEYS[1], ARGV[2])
  return v
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]`)
