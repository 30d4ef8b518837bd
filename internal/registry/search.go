package registry

import (
	"context"
	"fmt"
	"strconv"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Filter chooses records inside Redis. It needs Records whose shards share a slot.
type Filter struct{ script *redisdb.Script }

// NewFilter returns a filter by a Lua expression over id and text, which are a record's, and
// ARGV[4] and so on, which are those of Search.
func NewFilter(expression string) Filter {
	return Filter{redisdb.NewScript(`
local found, seen, at, i = {}, 0, ARGV[1], 1
local function chosen(id, text) return ` + expression + ` end
while i <= #KEYS and seen < tonumber(ARGV[2]) and #found < 2 * ARGV[3] do
  local page = redis.call('HSCAN', KEYS[i], at, 'COUNT', ARGV[3])
  for j = 1, #page[2], 2 do
    seen = seen + 1
    if chosen(page[2][j], page[2][j + 1]) then
      found[#found + 1] = page[2][j]
      found[#found + 1] = page[2][j + 1]
    end
  end
  at = page[1]
  if at == '0' then i = i + 1 end
end
return {i - 1, at, found}`)}
}

// lookedAt is about how many records one script looks at: Redis answers nobody else meanwhile, for
// about two milliseconds.
const lookedAt = 2000

// Search returns about size records that a filter chooses, as List does. While goOn says so it asks
// Redis again for more; then the cursor goes on, also where nothing was found yet.
func (r *Records) Search(ctx context.Context, f Filter, cursor string, size int, goOn func() bool, args ...any) (list []Item, next string, err error) {
	shard, at, err := r.readCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	for first := true; shard < r.shards && len(list) < size && (first || goOn()); first = false {
		var page []Item
		var passed uint64
		if page, passed, at, err = r.chosen(ctx, f, shard, at, append([]any{lookedAt, size}, args...)); err != nil {
			return nil, "", err
		}
		list, shard = append(list, page...), shard+passed
	}
	if shard >= r.shards {
		return list, "", nil
	}
	return list, fmt.Sprintf("%x.%s", shard, at), nil
}

// chosen runs a filter on a shard and those behind it. It returns how many shards it passed, and
// where to go on in the next.
func (r *Records) chosen(ctx context.Context, f Filter, shard uint64, at string, args []any) (list []Item, passed uint64, next string, err error) {
	var keys []string
	for ; shard < r.shards; shard++ {
		keys = append(keys, r.shardKey(shard))
	}
	v, err := r.db.Eval(ctx, f.script, keys, append([]any{at}, args...)...)
	if err != nil {
		return nil, 0, "", err
	}
	answer, _ := v.([]any)
	if len(answer) != 3 {
		return nil, 0, "", ErrAnswer
	}
	n, ok1 := answer[0].(int64)
	next, ok2 := answer[1].(string)
	pairs, ok3 := answer[2].([]any)
	if _, err := strconv.ParseUint(next, 10, 64); err != nil || !ok1 || !ok2 || !ok3 || n < 0 {
		return nil, 0, "", ErrAnswer
	}
	return items(pairs), uint64(n), next, nil
}

// items reads what HSCAN lists: ids and texts in turn.
func items(pairs []any) (list []Item) {
	for i := 0; i+1 < len(pairs); i += 2 {
		id, _ := pairs[i].(string)
		text, _ := pairs[i+1].(string)
		list = append(list, Item{id, text})
	}
	return list
}
