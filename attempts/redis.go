package attempts

import (
	"context"
	"fmt"
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

// An event is a member of a sorted set, whose score is when it ends, by Redis's clock.
const ended = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local function live()
  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIRE', KEYS[1], last[2] - now) end
end
`

// The scripts. Each may be executed twice.
var (
	// hold: KEYS events. ARGV event, most, pending.
	hold = redisdb.NewScript(ended + `
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
    local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
    return {tonumber(ARGV[2]) + 1, first[2] and first[2] - now or 0}
  end
  redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
  live()
end
return {redis.call('ZCARD', KEYS[1]), 0}`)

	// keep: KEYS events. ARGV event, life.
	keep = redisdb.NewScript(ended + `
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
live()
return 1`)

	release = redisdb.NewScript(`return redis.call('ZREM', KEYS[1], ARGV[1])`)
	held    = redisdb.NewScript(ended + `return redis.call('ZCARD', KEYS[1])`)
	reset   = redisdb.NewScript(`return redis.call('DEL', KEYS[1])`)
)

// Hold implements Counter.
func (r *Redis) Hold(ctx context.Context, s Subject, e Event, most int, pending time.Duration) (int, time.Duration, error) {
	v, err := r.db.Eval(ctx, hold, []string{eventsKey(s)}, e[:], most, pending.Milliseconds())
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

// Keep implements Counter.
func (r *Redis) Keep(ctx context.Context, s Subject, e Event, life time.Duration) error {
	_, err := r.db.Eval(ctx, keep, []string{eventsKey(s)}, e[:], life.Milliseconds())
	return err
}

// Release implements Counter.
func (r *Redis) Release(ctx context.Context, s Subject, e Event) error {
	_, err := r.db.Eval(ctx, release, []string{eventsKey(s)}, e[:])
	return err
}

// Held implements Counter.
func (r *Redis) Held(ctx context.Context, s Subject) (int, error) {
	v, err := r.db.Eval(ctx, held, []string{eventsKey(s)})
	n, _ := v.(int64)
	return int(n), err
}

// Reset implements Counter.
func (r *Redis) Reset(ctx context.Context, s Subject) error {
	_, err := r.db.Eval(ctx, reset, []string{eventsKey(s)})
	return err
}

func eventsKey(s Subject) string { return "e:" + string(s[:]) }

func key(s Subject) string { return "b:" + string(s[:]) }
