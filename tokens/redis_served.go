package tokens

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// What the configurations of all nodes serve: every list of names that some node served, when one did last, and which names a
// configuration was without, and since when. Times are Redis's.
const (
	servedLists  = "served:{served}:lists"
	servedTimes  = "served:{served}:times"
	servedAbsent = "served:{served}:absent"
)

// servedLife is how long a list that no node serves is known.
const servedLife = 30 * 24 * time.Hour

// settle waits until every node that goes on has said once more what it serves.
func settle(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2*ServedEvery + ServedEvery/2):
		return nil
	}
}

// beginServing: KEYS lists, times, absent. ARGV names, life. It returns the names that come back: some node's configuration was without
// them after any node served them last. And those that go: this configuration is the first without them since. And why that could not be
// noted, where Redis takes no writes at the moment. And the time.
var beginServing = redisdb.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local mine, seen, back, gone, unnoted = {}, {}, {}, {}, ''
local function note(...)
  local r = redis.pcall(...)
  if type(r) == 'table' and r.err then unnoted = r.err end
end
local function pairsOf(key)
  local flat, list = redis.call('HSCAN', key, '0', 'COUNT', 1000000)[2], {}
  for i = 1, #flat, 2 do list[flat[i]] = flat[i + 1] end
  return list
end
for i = 1, #ARGV[1], 8 do mine[string.sub(ARGV[1], i, i + 7)] = true end
local times, absent = pairsOf(KEYS[2]), pairsOf(KEYS[3])
for digest, list in pairs(pairsOf(KEYS[1])) do
  local at = tonumber(times[digest] or 0)
  for i = 1, #list, 8 do
    local name = string.sub(list, i, i + 7)
    if (seen[name] or -1) < at then seen[name] = at end
  end
end
for name, at in pairs(absent) do
  if mine[name] and (seen[name] or 0) <= tonumber(at) then table.insert(back, name) end
end
for name, at in pairs(seen) do
  if not mine[name] then
    if at > tonumber(absent[name] or -1) then table.insert(gone, name) end
    note('HSET', KEYS[3], name, string.format('%.0f', now))
  end
end
note('PEXPIRE', KEYS[3], ARGV[2])
return {back, gone, unnoted, string.format('%.0f', now)}`)

// servedAfter: KEYS lists, times. ARGV a time. It returns the lists that some node served after it.
var servedAfter = redisdb.NewScript(`
local lists, flat = {}, redis.call('HSCAN', KEYS[2], '0', 'COUNT', 1000000)[2]
for i = 1, #flat, 2 do
  if tonumber(flat[i + 1]) > tonumber(ARGV[1]) then table.insert(lists, redis.call('HGET', KEYS[1], flat[i]) or '') end
end
return lists`)

// serving: KEYS lists, times. ARGV digest, names, life, how long a list is known. Names are sent where Redis does not know them only.
var serving = redisdb.NewScript(`
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
elseif not redis.call('HGET', KEYS[1], ARGV[1]) then
  return 0
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', now))
local flat = redis.call('HSCAN', KEYS[2], '0', 'COUNT', 1000000)[2]
for i = 1, #flat, 2 do
  if now - tonumber(flat[i + 1]) > tonumber(ARGV[4]) then
    redis.call('HDEL', KEYS[1], flat[i])
    redis.call('HDEL', KEYS[2], flat[i])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1`)

// BeginServing implements Store. Where a node without a name began a moment ago, others that go on with it may not have said so
// since. So a name comes back only if none of them says so within a while.
func (s *Redis) BeginServing(ctx context.Context, names []ServedName) (back, gone []ServedName, err error) {
	list, _ := joined(names)
	v, err := s.db.EvalDurable(ctx, beginServing, []string{servedLists, servedTimes, servedAbsent}, list, foundationLife.Milliseconds())
	answer, _ := v.([]any)
	if len(answer) != 4 {
		return nil, nil, orUnexpected(err)
	}
	if unnoted, _ := answer[2].(string); unnoted != "" {
		err = fmt.Errorf("%w: %s", ErrOnlyReads, unnoted)
	}
	back, gone = readNames(answer[0]), readNames(answer[1])
	if len(back) == 0 {
		return nil, gone, err
	}
	if err := s.settle(ctx); err != nil {
		return nil, nil, err
	}
	lists, lookErr := s.db.Eval(ctx, servedAfter, []string{servedLists, servedTimes}, answer[3])
	if lookErr != nil {
		return nil, nil, lookErr
	}
	live := map[ServedName]bool{}
	served, _ := lists.([]any)
	for _, one := range served {
		text, _ := one.(string)
		for ; len(text) >= len(ServedName{}); text = text[len(ServedName{}):] {
			live[ServedName([]byte(text[:len(ServedName{})]))] = true
		}
	}
	return slices.DeleteFunc(back, func(n ServedName) bool { return live[n] }), gone, err
}

func orUnexpected(err error) error {
	if err == nil {
		err = fmt.Errorf("%w: unexpected answer of what is served", ErrRecord)
	}
	return err
}

func readNames(v any) (names []ServedName) {
	list, _ := v.([]any)
	for _, one := range list {
		if text, ok := one.(string); ok && len(text) == len(ServedName{}) {
			names = append(names, ServedName([]byte(text)))
		}
	}
	return names
}

// Serving implements Store. The list itself travels only where Redis does not know it.
func (s *Redis) Serving(ctx context.Context, names []ServedName) error {
	list, digest := joined(names)
	for _, text := range [][]byte{nil, list} {
		v, err := s.db.Eval(ctx, serving, []string{servedLists, servedTimes}, digest, text, foundationLife.Milliseconds(), servedLife.Milliseconds())
		if redisdb.OnlyReads(err) {
			return fmt.Errorf("%w: %w", ErrOnlyReads, err)
		}
		if err != nil || v == int64(1) || len(list) == 0 {
			return err
		}
	}
	return nil
}
