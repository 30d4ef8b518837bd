package ratelimit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Redis is the Exchanger of nodes that share a Redis. Each bucket is a key of its own, which
// expires when the bucket is full. All lie in the slot of the registry, so one command carries
// many.
type Redis struct{ db *redisdb.DB }

// NewRedis returns the exchanger of an open Redis.
func NewRedis(db *redisdb.DB) *Redis { return &Redis{db: db} }

// settle: KEYS buckets. ARGV MaxAge in seconds, then rate, burst and count of each. A bucket is its
// level, what it could not hold in the last MaxAge, and when that was, by Redis's clock. It returns
// the levels in thousandths. A clock that goes back stops a bucket and takes nothing from it.
var settle = redisdb.NewScript(`
local t = redis.call('TIME')
local now, age, left = t[1] + t[2] / 1000000, tonumber(ARGV[1]), {}
for i, key in ipairs(KEYS) do
  local rate, burst, count = tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i]), tonumber(ARGV[3*i+1])
  local level, spare = burst, rate * age
  local held = redis.call('GET', key)
  if held then
    local l, s, at = string.match(held, '^(%S+) (%S+) (%S+)$')
    level, spare = l + rate * math.max(0, now - at), tonumber(s)
    if level > burst then level, spare = burst, spare + level - burst end
    spare = math.min(spare, rate * age)
  end
  local free = math.min(spare, count)
  level, spare = level - (count - free), spare - free
  local full = math.ceil(((burst - level) / rate + age) * 1000) + 1000
  redis.call('SET', key, string.format('%.4f %.4f %.6f', level, spare, now), 'PX', full)
  left[i] = math.floor(level * 1000)
end
return left`)

var errAnswer = errors.New("unexpected answer to counts of requests")

// Exchange implements Exchanger.
func (r *Redis) Exchange(ctx context.Context, reports []Report) ([]float64, error) {
	keys := make([]string, len(reports))
	args := append(make([]any, 0, 1+3*len(reports)), MaxAge.Seconds())
	for i, p := range reports {
		keys[i] = bucketKey(p.Name)
		args = append(args, p.Limit.rate(), p.Limit.burst(), p.Count)
	}
	v, err := r.db.Once(ctx, settle, keys, args...)
	if err != nil {
		return nil, err
	}
	list, _ := v.([]any)
	if len(list) != len(reports) {
		return nil, errAnswer
	}
	left := make([]float64, len(list))
	for i := range list {
		n, ok := list[i].(int64)
		if !ok {
			return nil, errAnswer
		}
		left[i] = float64(n) / 1000
	}
	return left, nil
}

func bucketKey(name string) string {
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("rate:{registry}:%x", sum[:16])
}
