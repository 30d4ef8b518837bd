package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Redis is the stream of any number of nodes: one Redis stream in one slot. It is a Stream but for
// Editions, which the store of tokens has.
type Redis struct{ db *redisdb.DB }

// NewRedis returns the stream in an open Redis.
func NewRedis(db *redisdb.DB) *Redis { return &Redis{db: db} }

// Append implements Stream: one script, which is as durable as a revocation. It is accepted when
// Redis is full.
func (s *Redis) Append(ctx context.Context, ends ...End) error {
	if len(ends) == 0 {
		return nil
	}
	args := make([]any, 0, 3*len(ends))
	for _, e := range ends {
		args = append(args, Nonce(), Join(e.Names...), e.Client)
	}
	_, err := s.db.EvalDurable(ctx, appendScript, []string{StreamKey}, args...)
	return err
}

// Read implements Stream: one script on a server that is proven to be the primary afterwards.
func (s *Redis) Read(ctx context.Context, after Position, most int) (*Page, error) {
	id, nonce, ok := after.parts()
	unknown := after != "" && after != Last && !ok // nobody can have read up to there
	if after == Last {
		id = string(Last)
	}
	most = max(most, 1)
	v, err := s.db.EvalProven(ctx, readScript, pageScript, []string{StreamKey, beatKey, markKey}, id, nonce, most+1, Nonce())
	if err != nil {
		return nil, err
	}
	page, err := readPage(v, after, most)
	switch {
	case err != nil:
		return nil, err
	case after == Last && page.At == Last: // an empty stream, in a Redis that takes no writes
		page.At = ""
	case after == Last:
		page.Ends = nil
	case unknown:
		page.Reset = true
	case page.Reset && after.cutOff(page.first, s.db.Now().Add(-Retention)):
		page.beginNameless()
	}
	return page, nil
}

// beginNameless has the page begin with the name of ends that nobody can tell.
func (p *Page) beginNameless() {
	if len(p.Ends) == 0 || !slices.Contains(p.Ends[0].Names, Nameless) {
		p.Ends = append([]End{{Names: []string{Nameless}, At: p.first}}, p.Ends...)
	}
}

var errAnswer = errors.New("unreadable answer of the feed")

// readPage reads what page.lua returns.
func readPage(v any, after Position, most int) (*Page, error) {
	answer, _ := v.([]any)
	if len(answer) != 3 {
		return nil, errAnswer
	}
	page := &Page{At: after, Reset: answer[0] != int64(1), Enabled: answer[1] == int64(1)}
	if page.Reset {
		page.At = ""
	}
	entries, _ := answer[2].([]any)
	if len(entries) > most {
		entries, page.More = entries[:most], true
	}
	for _, entry := range entries {
		at, end, err := readEntry(entry)
		if err != nil {
			return nil, err
		}
		if page.At = at; page.first == "" {
			page.first = at
		}
		if end.At = at; len(end.Names) > 0 || end.Client != "" {
			page.Ends = append(page.Ends, end)
		}
	}
	return page, nil
}

// readEntry reads {id, {field, value …}}. It skips fields that it does not know.
func readEntry(v any) (at Position, e End, err error) {
	entry, _ := v.([]any)
	if len(entry) != 2 {
		return "", e, errAnswer
	}
	id, _ := entry[0].(string)
	fields, _ := entry[1].([]any)
	var nonce string
	for i := 0; i+1 < len(fields); i += 2 {
		value, _ := fields[i+1].(string)
		switch fields[i] {
		case "nonce":
			nonce = value
		case "names":
			if value != "" {
				e.Names = strings.Split(value, " ")
			}
		case "client":
			e.Client = value
		}
	}
	if id == "" || nonce == "" {
		return "", e, fmt.Errorf("%w: entry %q", errAnswer, id)
	}
	return positionOf(id, []byte(nonce)), e, nil
}

// awaitAtMost is how long Await blocks. awaitPause follows an error: a Redis that is away must not
// be asked without end.
const (
	awaitAtMost = time.Second
	awaitPause  = 100 * time.Millisecond
)

// Await implements Stream: XREAD BLOCK for a second at most, on a connection of its own. After an
// error it makes a pause before it returns.
func (s *Redis) Await(ctx context.Context, after Position) error {
	id, _, ok := after.parts()
	if !ok {
		id = "0"
	}
	err := s.db.AwaitEntry(ctx, StreamKey, id, awaitAtMost)
	if err == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(awaitPause):
		return err
	}
}

// Enable implements Stream.
func (s *Redis) Enable(ctx context.Context) error {
	_, err := s.db.EvalDurable(ctx, enableScript, []string{markKey, StreamKey}, Nonce())
	return err
}

// Enabled implements Stream.
func (s *Redis) Enabled(ctx context.Context) (bool, error) {
	_, err := s.db.Get(ctx, markKey)
	if errors.Is(err, redisdb.ErrNil) {
		return false, nil
	}
	return err == nil, err
}
