package redisdb

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/go-redis/redis/v8"
)

// right is a command that Grantor needs, with arguments by which the command changes nothing.
type right struct {
	name string // as an ACL writes it
	args []any
}

// scripted are the rights that scriptOfRights asks for. $ is a key that nobody has. Redis refuses
// to write for that script, but looks at the user's rights before.
func scripted(key string) []right {
	var list []right
	for _, text := range []string{"get $", "set $ x", "mget $", "del $", "hget $ f", "hmget $ f", "hset $ f v", "hsetnx $ f v", "hdel $ f", "hscan $ 0",
		"incr $", "decr $", "pexpire $ 1", "pttl $", "exists $", "hexists $ f", "persist $", "pexpireat $ 1", "xadd $ * f v", "xrange $ - +", "xrevrange $ + -", "xread COUNT 1 STREAMS $ 0", "xtrim $ MAXLEN 1",
		"xinfo STREAM $", "zadd $ 1 m", "zrem $ m", "zcard $", "zcount $ 0 1", "zscore $ m", "zrange $ 0 1", "zrangebyscore $ 0 1", "zremrangebyscore $ 0 1", "time"} {
		words := strings.Fields(text)
		r := right{name: words[0]}
		if words[0] == "xinfo" {
			r.name = "xinfo|stream"
		}
		for _, w := range words {
			if w == "$" {
				w = key
			}
			r.args = append(r.args, w)
		}
		list = append(list, r)
	}
	return list
}

// direct are the rights that no script can ask for. Each of these fails, or does nothing.
func direct() []right {
	return []right{{"ping", []any{"ping"}}, {"wait", []any{"wait", 0, 0}}, {"evalsha", []any{"evalsha", strings.Repeat("f", 40), 0}},
		{"script|load", []any{"script", "load", ")"}}}
}

// scriptOfRights runs commands that it is not allowed to write with, and returns what each answers;
// it needs Redis 7.
const scriptOfRights = `#!lua flags=no-writes
local out, i = {}, 1
while i <= #ARGV do
  local n, call = tonumber(ARGV[i]), {}
  for j = 1, n do call[j] = ARGV[i + j] end
  local answer = redis.pcall(unpack(call))
  out[#out + 1] = type(answer) == 'table' and answer.err or ''
  i = i + n + 1
end
return out`

// Rights returns the commands that Grantor runs and its user of Redis may not, as an ACL writes
// them, and whether the user may not use the keys of the prefix. It changes nothing. known is false
// where Redis is older than 7 and cannot say it so.
func (d *DB) Rights(ctx context.Context) (missing []string, keys, known bool, err error) {
	var mu sync.Mutex
	err = d.eachPrimary(ctx, func(ctx context.Context, client *redis.Client) error {
		lacks, refused, able, err := d.rightsAt(ctx, client)
		mu.Lock()
		defer mu.Unlock()
		missing, keys, known = append(missing, lacks...), keys || refused, known || able
		return err
	})
	slices.Sort(missing)
	return slices.Compact(missing), keys, known, err
}

func (d *DB) rightsAt(ctx context.Context, client *redis.Client) (missing []string, keys, known bool, err error) {
	for _, r := range direct() {
		text, answered := reply(client.Do(ctx, r.args...).Err())
		if answered && noRight(text) {
			missing = append(missing, r.name)
		}
	}
	list := scripted(d.Key("doctor:{registry}"))
	args := []any{"eval", scriptOfRights, 0}
	for _, r := range list {
		args = append(append(args, len(r.args)), r.args...)
	}
	v, err := client.Do(ctx, args...).Result()
	if text, answered := reply(err); answered {
		if noRight(text) {
			return append(missing, "eval"), false, true, nil
		}
		return missing, false, len(missing) > 0, nil // Redis before 7 takes no flags
	}
	answers, ok := v.([]any)
	if err == nil && (!ok || len(answers) != len(list)) {
		err = fmt.Errorf("%w: another answer than was asked for", ErrRefused)
	}
	if err != nil {
		return nil, false, false, err
	}
	for i, r := range list {
		switch text := fmt.Sprint(answers[i]); {
		case noKey(text):
			keys = true
		case noRight(text):
			missing = append(missing, r.name)
		}
	}
	return missing, keys, true, nil
}

// noRight says whether an answer is about a right that the user lacks. Redis 7.0 and 7.2 word it
// differently for scripts.
func noRight(text string) bool {
	return strings.Contains(text, "can't run this command") || strings.Contains(text, "no permissions to run") || code(text) == "NOPERM"
}

func noKey(text string) bool {
	return strings.Contains(text, "can't access at least one of the keys") || strings.Contains(text, "No permissions to access a key")
}
