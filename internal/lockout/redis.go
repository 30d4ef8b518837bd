package lockout

import (
	"context"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Redis is the Counter that all nodes share.
type Redis struct{ db *redisdb.DB }

// NewRedis returns a counter over an open Redis.
func NewRedis(db *redisdb.DB) *Redis { return &Redis{db} }

// add counts and keeps the window that the first failure began.
var add = redisdb.NewScript(`
local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {n, redis.call('PTTL', KEYS[1])}`)

var (
	look   = redisdb.NewScript(`return {tonumber(redis.call('GET', KEYS[1]) or 0), redis.call('PTTL', KEYS[1])}`)
	forget = redisdb.NewScript(`return redis.call('DEL', KEYS[1])`)
)

// Now implements Counter.
func (r *Redis) Now() time.Time { return time.Now() }

// Add implements Counter, on the connection that never repeats a command: a repeated INCR would
// count twice.
func (r *Redis) Add(ctx context.Context, s Subject, window time.Duration) (int, time.Duration, error) {
	v, err := r.db.Once(ctx, add, []string{key(s)}, window.Milliseconds())
	return counted(v, err)
}

// Count implements Counter.
func (r *Redis) Count(ctx context.Context, s Subject) (int, time.Duration, error) {
	v, err := r.db.Eval(ctx, look, []string{key(s)})
	n, left, err := counted(v, err)
	return n, max(left, 0), err
}

// Forget implements Counter.
func (r *Redis) Forget(ctx context.Context, s Subject) error {
	_, err := r.db.Eval(ctx, forget, []string{key(s)})
	return err
}

// counted reads a count and how long it lasts.
func counted(v any, err error) (int, time.Duration, error) {
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

// An entry is a member of a sorted set, whose score is when it ends, by Redis's clock. A
// reservation begins with "p", what is kept with "f".
const entries = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local function put(member, life)
  redis.call('ZADD', KEYS[1], now + life, member)
  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
  redis.call('PEXPIRE', KEYS[1], last[2] - now)
end
local function kept()
  local members, ends = {}, {}
  local all = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 1) ~= 'p' then
      table.insert(members, all[i])
      table.insert(ends, all[i + 1])
    end
  end
  return members, ends
end
`

// The scripts. Each may be executed twice.
var (
	// hold: KEYS entries. ARGV entry, limit, pending.
	hold = redisdb.NewScript(entries + `
local entry, limit = 'p' .. ARGV[1], tonumber(ARGV[2])
if redis.call('ZSCORE', KEYS[1], entry) then return {0, 0} end
if redis.call('ZCARD', KEYS[1]) < limit then
  put(entry, ARGV[3])
  return {0, 0}
end
local _, ends = kept()
if #ends < limit then return {1, 0} end
return {2, ends[#ends - limit + 1] - now}`)

	// keep: KEYS entries. ARGV entry, life.
	keep = redisdb.NewScript(entries + `
redis.call('ZREM', KEYS[1], 'p' .. ARGV[1])
put('f' .. ARGV[1], ARGV[2])
return 1`)

	// reset: KEYS entries. ARGV entry.
	reset = redisdb.NewScript(entries + `
redis.call('ZREM', KEYS[1], 'p' .. ARGV[1])
local members = kept()
for _, member in ipairs(members) do redis.call('ZREM', KEYS[1], member) end
return #members`)

	// ends: KEYS entries. When each kept entry ends, from now.
	ends = redisdb.NewScript(entries + `
local _, ends = kept()
for i, at in ipairs(ends) do ends[i] = at - now end
return ends`)

	// leave: KEYS texts. ARGV text, life, limit.
	leave = redisdb.NewScript(entries + `
put(ARGV[1], ARGV[2])
local over = redis.call('ZCARD', KEYS[1]) - ARGV[3]
if over > 0 then redis.call('ZREM', KEYS[1], unpack(redis.call('ZRANGE', KEYS[1], 0, over - 1))) end
return 1`)

	noted = redisdb.NewScript(entries + `
local all, newest = redis.call('ZRANGE', KEYS[1], 0, -1), {}
for i = #all, 1, -1 do table.insert(newest, all[i]) end
return newest`)

	release   = redisdb.NewScript(`return redis.call('ZREM', KEYS[1], 'p' .. ARGV[1])`)
	countKept = redisdb.NewScript(entries + `return #kept()`)
)

// Hold implements Counter.
func (r *Redis) Hold(ctx context.Context, s Subject, e EntryID, limit int, pending time.Duration) (Hold, error) {
	v, err := r.db.Eval(ctx, hold, []string{entriesKey(s)}, e[:], limit, pending.Milliseconds())
	if err != nil {
		return Hold{}, err
	}
	pair, ok := v.([]any)
	if !ok || len(pair) != 2 {
		return Hold{}, fmt.Errorf("%w: unexpected answer", redisdb.ErrUnavailable)
	}
	result, _ := pair[0].(int64)
	left, _ := pair[1].(int64)
	return Hold{Result(result), time.Duration(left) * time.Millisecond}, nil
}

// Keep implements Counter.
func (r *Redis) Keep(ctx context.Context, s Subject, e EntryID, ttl time.Duration) error {
	_, err := r.db.Eval(ctx, keep, []string{entriesKey(s)}, e[:], ttl.Milliseconds())
	return err
}

// Release implements Counter.
func (r *Redis) Release(ctx context.Context, s Subject, e EntryID) error {
	_, err := r.db.Eval(ctx, release, []string{entriesKey(s)}, e[:])
	return err
}

// Kept implements Counter.
func (r *Redis) Kept(ctx context.Context, s Subject) (int, error) {
	v, err := r.db.Eval(ctx, countKept, []string{entriesKey(s)})
	n, _ := v.(int64)
	return int(n), err
}

// Entries implements Counter.
func (r *Redis) Entries(ctx context.Context, s Subject) ([]time.Duration, error) {
	v, err := r.db.Eval(ctx, ends, []string{entriesKey(s)})
	if err != nil {
		return nil, err
	}
	list, _ := v.([]any)
	left := make([]time.Duration, len(list))
	for i := range list {
		ms, _ := list[i].(int64)
		left[i] = time.Duration(ms) * time.Millisecond
	}
	return left, nil
}

// Note implements Counter.
func (r *Redis) Note(ctx context.Context, s Subject, text string, ttl time.Duration, limit int) error {
	_, err := r.db.Eval(ctx, leave, []string{notesKey(s)}, text, ttl.Milliseconds(), limit)
	return err
}

// Noted implements Counter.
func (r *Redis) Noted(ctx context.Context, s Subject) ([]string, error) {
	v, err := r.db.Eval(ctx, noted, []string{notesKey(s)})
	if err != nil {
		return nil, err
	}
	list, _ := v.([]any)
	var texts []string
	for _, one := range list {
		if text, ok := one.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts, nil
}

// Reset implements Counter.
func (r *Redis) Reset(ctx context.Context, s Subject, e EntryID) error {
	_, err := r.db.Eval(ctx, reset, []string{entriesKey(s)}, e[:])
	return err
}

func entriesKey(s Subject) string { return "e:" + string(s[:]) }

func notesKey(s Subject) string { return "n:" + string(s[:]) }

func key(s Subject) string { return "b:" + string(s[:]) }
