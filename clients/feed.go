package clients

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/redisdb"
)

// position is how far a node has read the feed: the id of a stream's entry.
type position struct{ ms, seq uint64 }

func (p position) String() string { return fmt.Sprintf("%d-%d", p.ms, p.seq) }

func (p position) before(o position) bool { return p.ms < o.ms || p.ms == o.ms && p.seq < o.seq }

func readPosition(text string) (position, error) {
	ms, seq, _ := strings.Cut(text, "-")
	a, err1 := strconv.ParseUint(ms, 10, 64)
	b, err2 := strconv.ParseUint(seq, 10, 64)
	return position{a, b}, errors.Join(err1, err2)
}

// news is what a node learns from the feed.
type news struct {
	at      position
	reset   bool     // some changes cannot be told: trust nothing that is cached
	changed []string // ids of clients
}

// feedPage is how many changes a node reads at once.
const feedPage = 1000

// follow: KEYS feed. ARGV position. A feed that is not there is begun, so that every node has a position that a lost feed
// does not have. It returns the last position that the stream ever gave out, the oldest entry that is left,
// and the entries behind the given position: id, client.
var follow = redisdb.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('XADD', KEYS[1], '*', 'id', '') end
local last = '0-0'
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do if info[i] == 'last-generated-id' then last = info[i + 1] end end
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local oldest = first[1] and first[1][1] or last
local changed = {}
for _, e in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ` + fmt.Sprint(feedPage) + `)) do
  table.insert(changed, e[1])
  table.insert(changed, e[2][2])
end
return {last, oldest, changed}`)

// News reads the feed from a position on. The position was trimmed away, or lies ahead of the stream because Redis lost
// some of it: reset.
func (d *Redis) news(ctx context.Context, from position) (*news, error) {
	v, err := d.db.Eval(ctx, follow, []string{feedKey}, from.String())
	if err != nil {
		return nil, err
	}
	answer, _ := v.([]any)
	if len(answer) != 3 {
		return nil, fmt.Errorf("%w: unexpected answer of the feed", ErrRecord)
	}
	lastText, _ := answer[0].(string)
	oldestText, _ := answer[1].(string)
	last, err1 := readPosition(lastText)
	oldest, err2 := readPosition(oldestText)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("%w: a position of the feed", ErrRecord)
	}
	n := &news{at: from}
	if last.before(from) || from.before(oldest) {
		n.at, n.reset = last, true
		return n, nil
	}
	list, _ := answer[2].([]any)
	for i := 0; i+1 < len(list); i += 2 {
		at, _ := list[i].(string)
		id, _ := list[i+1].(string)
		if n.at, err = readPosition(at); err != nil {
			return nil, fmt.Errorf("%w: a position of the feed", ErrRecord)
		}
		n.changed = append(n.changed, id)
	}
	return n, nil
}
