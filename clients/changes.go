package clients

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// position is how far a node has read the feed: the id of an entry, and its nonce. Ids can come
// again: a primary that lost its tail in a failover gives them to other changes. A nonce cannot.
type position struct{ id, nonce string }

// changes is what a node learns from the feed.
type changes struct {
	at      position
	reset   bool     // some changes are not known: trust nothing that is cached
	changed []string // ids of clients
	more    bool     // there may be further changes
}

// feedPage is how many changes a node reads at once.
const feedPage = 1000

// nonceSize is the length of an entry's nonce in bytes.
const nonceSize = 12

func newNonce() []byte {
	n := make([]byte, nonceSize)
	rand.Read(n) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return n
}

// readStream: KEYS feed. ARGV position's id (” for none) and nonce, a fresh nonce. The position is
// read again, not taken for known: an entry of this id and nonce must be there. It returns 1 for
// that, the position that was read up to, and which clients changed.
//
// Without an entry at the end that has a nonce one is written: a feed is begun so, or an older
// version wrote last. A Redis that is full refuses that; then the changed client stands for the
// nonce.
var readStream = redisdb.NewScript(`
local function nonce(e)
  for i = 1, #e[2], 2 do if e[2][i] == 'nonce' then return e[2][i + 1] end end
  return 'id:' .. e[2][2]
end
local function last()
  if redis.call('EXISTS', KEYS[1]) == 0 then return false end
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do if info[i] == 'last-entry' then return info[i + 1] end end
end
local tail = last()
if not tail or string.sub(nonce(tail), 1, 3) == 'id:' then
  local mark = redis.pcall('XADD', KEYS[1], '*', 'id', '', 'nonce', ARGV[3])
  if type(mark) == 'table' and not tail then return mark end
  tail = last()
end
if ARGV[1] == '' then return {0, tail[1], nonce(tail), {}} end
local list = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ` + fmt.Sprint(feedPage+1) + `)
local first = list[1]
if not first or first[1] ~= ARGV[1] or nonce(first) ~= ARGV[2] then return {0, tail[1], nonce(tail), {}} end
local changed = {}
for i = 2, #list do if list[i][2][2] ~= '' then table.insert(changed, list[i][2][2]) end end
local at = list[#list]
return {1, at[1], nonce(at), changed, #list - 1}`)

// changesSince reads the feed from a position on. A position that is not there any more, because it
// was trimmed away or Redis lost it, is a reset: what changed meanwhile cannot be known.
func (d *Redis) changesSince(ctx context.Context, from position) (*changes, error) {
	v, err := d.db.Eval(ctx, readStream, []string{feedKey}, from.id, from.nonce, newNonce())
	if err != nil {
		return nil, err
	}
	answer, _ := v.([]any)
	if len(answer) < 4 {
		return nil, fmt.Errorf("%w: unexpected answer of the feed", ErrRecord)
	}
	n := &changes{reset: answer[0] != int64(1)}
	n.at.id, _ = answer[1].(string)
	n.at.nonce, _ = answer[2].(string)
	if n.at.id == "" || n.at.nonce == "" {
		return nil, fmt.Errorf("%w: a position of the feed", ErrRecord)
	}
	list, _ := answer[3].([]any)
	for _, id := range list {
		text, _ := id.(string)
		n.changed = append(n.changed, text)
	}
	if len(answer) > 4 {
		read, _ := answer[4].(int64)
		n.more = read >= feedPage
	}
	return n, nil
}
