package clients

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// List returns a page of registrations, in no order, and the cursor of the next; "" begins, and "" is the end. One that
// changes meanwhile may come twice.
func (d *Redis) List(ctx context.Context, cursor string, size int) ([]*Stored, string, error) {
	shard, at, ok := readCursor(cursor)
	if !ok {
		return nil, "", errors.New("this is no cursor of this list")
	}
	var found []*Stored
	for shard < shards && len(found) < size {
		v, err := d.db.Eval(ctx, scan, []string{shardKey(byte(shard))}, fmt.Sprint(at), size)
		if err != nil {
			return nil, "", err
		}
		page, next, err := readPage(v)
		if err != nil {
			return nil, "", err
		}
		found = append(found, page...)
		if at = next; at == 0 {
			shard++
		}
	}
	if shard >= shards {
		return found, "", nil
	}
	return found, fmt.Sprintf("%x.%d", shard, at), nil
}

func readCursor(cursor string) (shard, at uint64, ok bool) {
	if cursor == "" {
		return 0, 0, true
	}
	first, second, _ := strings.Cut(cursor, ".")
	shard, err1 := strconv.ParseUint(first, 16, 64)
	at, err2 := strconv.ParseUint(second, 10, 64)
	return shard, at, err1 == nil && err2 == nil && shard < shards
}

// IsCursor says whether a text can be a cursor of List.
func IsCursor(text string) bool {
	_, _, ok := readCursor(text)
	return ok
}

// readPage reads what HSCAN answers.
func readPage(v any) (found []*Stored, next uint64, err error) {
	answer, _ := v.([]any)
	if len(answer) != 2 {
		return nil, 0, fmt.Errorf("%w: unexpected answer of HSCAN", ErrRecord)
	}
	cursor, _ := answer[0].(string)
	if _, err := fmt.Sscan(cursor, &next); err != nil {
		return nil, 0, fmt.Errorf("%w: unexpected answer of HSCAN", ErrRecord)
	}
	pairs, _ := answer[1].([]any)
	for i := 0; i+1 < len(pairs); i += 2 {
		id, _ := pairs[i].(string)
		text, _ := pairs[i+1].(string)
		s, err := readStored(id, text)
		if err != nil {
			return nil, 0, err
		}
		found = append(found, s)
	}
	return found, next, nil
}

// All walks over every registration, each once.
func (d *Redis) All(ctx context.Context, visit func(*Stored) error) error {
	seen, shard := map[string]bool{}, byte(0) // HSCAN may repeat itself, within one hash
	for cursor := ""; ; {
		page, next, err := d.List(ctx, cursor, 1000)
		if err != nil {
			return err
		}
		for _, s := range page {
			if at := shardOf(s.ID); at != shard {
				clear(seen)
				shard = at
			}
			if seen[s.ID] {
				continue
			}
			seen[s.ID] = true
			if err := visit(s); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		cursor = next
	}
}

// Ending returns how many clients have no secret that lives beyond until, and the ids of some.
func (d *Redis) Ending(ctx context.Context, until time.Time) (int, []string, error) {
	v, err := d.db.Eval(ctx, ending, []string{endsKey}, until.Unix(), 20)
	if err != nil {
		return 0, nil, err
	}
	answer, _ := v.([]any)
	if len(answer) != 2 {
		return 0, nil, fmt.Errorf("%w: unexpected answer of ZCOUNT", ErrRecord)
	}
	n, _ := answer[0].(int64)
	list, _ := answer[1].([]any)
	var ids []string
	for _, id := range list {
		if text, ok := id.(string); ok {
			ids = append(ids, text)
		}
	}
	return int(n), ids, nil
}
