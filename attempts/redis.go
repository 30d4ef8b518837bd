package attempts

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/grantor-auth/grantor/redisdb"
)

// Redis is the Counter that all nodes share.
type Redis struct{ db *redisdb.DB }

// NewRedis returns a counter over an open Redis.
func NewRedis(db *redisdb.DB) *Redis { return &Redis{db} }

// add counts and keeps the window that the first event began.
var add = redisdb.NewScript(`
local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {n, redis.call('PTTL', KEYS[1])}`)

// Add implements Counter, on the connection that never repeats a command: a repeated INCR would
// count twice.
func (r *Redis) Add(ctx context.Context, s Subject, window time.Duration) (int, time.Duration, error) {
	v, err := r.db.Once(ctx, add, []string{key(s)}, window.Milliseconds())
	if err != nil {
		return 0, 0, err
	}
	pair, ok := v.([]any)
	if !ok || len(pair) != 2 {
		return 0, 0, fmt.Errorf("%w: unexpected answer", redisdb.ErrUnavailable)
	}
	n, _ := pair[0].(int64)
	left, _ := pair[1].(int64)
	return int(n), time.Duration(left) * time.Millisecond, nil
}

var reset = redisdb.NewScript(`return redis.call('DEL', KEYS[1])`)

// Reset implements Counter.
func (r *Redis) Reset(ctx context.Context, s Subject) error {
	_, err := r.db.Eval(ctx, reset, []string{key(s)})
	return err
}

// Count implements Counter.
func (r *Redis) Count(ctx context.Context, s Subject) (int, error) {
	v, err := r.db.Get(ctx, key(s))
	if errors.Is(err, redisdb.ErrNil) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(v))
}

var undo = redisdb.NewScript(`
if (tonumber(redis.call('GET', KEYS[1])) or 0) > 0 then return redis.call('DECR', KEYS[1]) end
return 0`)

// Undo implements Counter, without repetition: undone twice would be a guess for nothing.
func (r *Redis) Undo(ctx context.Context, s Subject) error {
	_, err := r.db.Once(ctx, undo, []string{key(s)})
	return err
}

func key(s Subject) string { return "b:" + string(s[:]) }
