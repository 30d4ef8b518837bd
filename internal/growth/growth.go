// Package growth keeps how much memory Redis used, one sample an hour for a week, so that somebody
// can say when the memory is full. Nothing depends on it: it is for people.
package growth

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Sample is the memory in use at the beginning of an hour, or soon after, by Redis's clock. Of a
// Cluster it is that of the primary that uses the most.
type Sample struct {
	Hour int64 // since 1970
	Used int64 // bytes
}

const (
	key  = "memory"
	keep = 7 * 24             // hours
	life = 8 * 24 * time.Hour // of the key: a deployment that ended leaves nothing behind
	day  = 24                 // hours
)

// The scripts. note: KEYS memory. ARGV bytes, hours that are kept, life in milliseconds. The first
// of an hour counts, so that it may be repeated, and every node may send it.
var (
	note = redisdb.NewScript(`
local hour = math.floor(redis.call('TIME')[1] / 3600)
if redis.call('HSETNX', KEYS[1], hour, ARGV[1]) == 0 then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local all = redis.call('HSCAN', KEYS[1], 0, 'COUNT', 1000)[2]
for i = 1, #all, 2 do
  if hour - (tonumber(all[i]) or 0) > tonumber(ARGV[2]) then redis.call('HDEL', KEYS[1], all[i]) end
end
return 1`)

	samples = redisdb.NewScript(`return redis.call('HSCAN', KEYS[1], 0, 'COUNT', 1000)[2]`)
)

// Note keeps the memory in use, in bytes, as the sample of this hour, unless there is one.
func Note(ctx context.Context, db *redisdb.DB, used int64) error {
	_, err := db.Eval(ctx, note, []string{key}, used, keep, life.Milliseconds())
	return err
}

// Samples returns what is kept, the oldest first.
func Samples(ctx context.Context, db *redisdb.DB) ([]Sample, error) {
	v, err := db.Eval(ctx, samples, []string{key})
	if err != nil {
		return nil, err
	}
	found, _ := v.([]any)
	var list []Sample
	for i := 0; i+1 < len(found); i += 2 {
		hour, used := integer(found[i]), integer(found[i+1])
		if hour > 0 && used > 0 {
			list = append(list, Sample{hour, used})
		}
	}
	slices.SortFunc(list, func(a, b Sample) int { return cmp.Compare(a.Hour, b.Hour) })
	return list, nil
}

func integer(v any) int64 {
	text, _ := v.(string)
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// PerDay returns by how many bytes a day the memory in use grows, and over how many days that was
// seen; 0 days: that is not known yet. It compares the newest sample with the oldest of the same
// hour of a day, because use differs between day and night.
func PerDay(list []Sample) (bytes, days int64) {
	if len(list) == 0 {
		return 0, 0
	}
	newest := list[len(list)-1]
	for _, s := range list {
		if apart := newest.Hour - s.Hour; apart > 0 && apart%day == 0 {
			return (newest.Used - s.Used) / (apart / day), apart / day
		}
	}
	return 0, 0
}
