package clients

import (
	"context"
	"errors"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// among: KEYS the shard of each id. ARGV ids. It returns those that have a record.
var among = redisdb.NewScript(`
local found = {}
for i, id in ipairs(ARGV) do
  if redis.call('HEXISTS', KEYS[i], id) == 1 then table.insert(found, id) end
end
return found`)

// amongAtOnce is how many ids one script looks for.
const amongAtOnce = 500

// EndReplaced appends to the revocation feed the names of the registered clients of these ids, and
// returns those that there are: a configuration has clients of its own under these ids, so no token
// of the registered ones counts where it serves. It must return before the configuration serves.
// ErrNotConfirmed: the names were appended, and too few replicas have them.
func (d *Redis) EndReplaced(ctx context.Context, ids []string) (replaced []string, err error) {
	for len(ids) > 0 {
		n := min(len(ids), amongAtOnce)
		found, err := d.among(ctx, ids[:n])
		if err != nil {
			return replaced, err
		}
		replaced, ids = append(replaced, found...), ids[n:]
	}
	var ends []feed.End
	for _, id := range replaced {
		s, err := d.Load(ctx, id)
		switch {
		case errors.Is(err, ErrRecord):
			ends = append(ends, feed.End{Names: []string{feed.Nameless}, Client: id}) // nobody can tell its name
		case errors.Is(err, ErrUnknown):
		case err != nil:
			return replaced, err
		case !s.Disabled:
			ends = append(ends, feed.End{Names: s.feedNames(), Client: id})
		}
	}
	return replaced, feed.NewRedis(d.db).Append(ctx, ends...)
}

func (d *Redis) among(ctx context.Context, ids []string) (found []string, err error) {
	keys, args := make([]string, len(ids)), make([]any, len(ids))
	for i, id := range ids {
		keys[i], args[i] = d.records.Key(id), id
	}
	v, err := d.db.Eval(ctx, among, keys, args...)
	list, _ := v.([]any)
	for _, one := range list {
		if id, ok := one.(string); ok {
			found = append(found, id)
		}
	}
	return found, err
}
