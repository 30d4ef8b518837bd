package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// latestLines: KEYS stream. ARGV the newest id that is wanted, how many. It returns ids and lines
// in turn.
var latestLines = redisdb.NewScript(`
local out = {}
for _, e in ipairs(redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', ARGV[2])) do
  out[#out + 1] = e[1]
  out[#out + 1] = e[2][2]
end
return out`)

const (
	chunk       = 250
	maxLookedAt = 5000
)

// RedisReader reads the streams that NewRedis writes: the events of all nodes.
type RedisReader struct{ db *redisdb.DB }

// NewRedisReader returns a reader of an open Redis.
func NewRedisReader(db *redisdb.DB) RedisReader { return RedisReader{db} }

// ErrCursor: a text that Latest did not return as a cursor.
var ErrCursor = errors.New("this is no cursor of the audit trail")

// Latest implements Reader.
func (r RedisReader) Latest(ctx context.Context, f Filter, cursor string, most int) (list []Event, next string, err error) {
	tails, err := r.tails(cursor)
	if err != nil {
		return nil, "", err
	}
	for looked := 0; looked < maxLookedAt && len(list) < most; looked++ {
		newest, err := newestOf(ctx, tails)
		if err != nil {
			return nil, "", err
		}
		if newest == nil {
			return list, "", nil
		}
		if e, ok := newest.take(); ok && f.chooses(&e) {
			list = append(list, e)
		}
	}
	return list, tails[0].at + "_" + tails[1].at, nil
}

func (r RedisReader) tails(cursor string) ([]*tail, error) {
	list := []*tail{{db: r.db, stream: streamEvents, at: "+"}, {db: r.db, stream: streamStrangers, at: "+"}}
	if cursor == "" {
		return list, nil
	}
	one, two, ok := strings.Cut(cursor, "_")
	if !ok || !isID(one) || !isID(two) {
		return nil, ErrCursor
	}
	list[0].at, list[1].at = one, two
	return list, nil
}

// isID says whether a text is an id of a stream, or "+" before the first.
func isID(text string) bool {
	return text == "+" || text != "" && len(text) <= 41 && strings.Trim(text, "0123456789-") == ""
}

// tail is a stream, read from its end.
type tail struct {
	db     *redisdb.DB
	stream string
	at     string // the id of the event that was taken last; "+": none yet
	ids    []string
	events []Event
	ended  bool
}

// newestOf returns the tail that has the newest event; nil: none has any.
func newestOf(ctx context.Context, tails []*tail) (newest *tail, err error) {
	for _, t := range tails {
		if err := t.fill(ctx); err != nil {
			return nil, err
		}
		if len(t.ids) > 0 && (newest == nil || t.events[0].Time.After(newest.events[0].Time)) {
			newest = t
		}
	}
	return newest, nil
}

// fill reads a chunk where nothing waits.
func (t *tail) fill(ctx context.Context) error {
	if len(t.ids) > 0 || t.ended {
		return nil
	}
	from := "(" + t.at
	if t.at == "+" {
		from = "+"
	}
	v, err := t.db.Eval(ctx, latestLines, []string{t.stream}, from, chunk)
	if err != nil {
		return fmt.Errorf("the audit trail in Redis: %w", err)
	}
	found, _ := v.([]any)
	t.ended = len(found) < 2*chunk
	for i := 0; i+1 < len(found); i += 2 {
		id, _ := found[i].(string)
		line, _ := found[i+1].(string)
		e, _ := readLine([]byte(line)) // what cannot be read is an event without a name
		t.ids, t.events = append(t.ids, id), append(t.events, e)
	}
	return nil
}

// take returns the newest event; false: this version cannot read it.
func (t *tail) take() (e Event, ok bool) {
	t.at, e = t.ids[0], t.events[0]
	t.ids, t.events = t.ids[1:], t.events[1:]
	return e, e.Event != ""
}
