package registry

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Item is one record of a list.
type Item struct{ ID, Text string }

var scanScript = redisdb.NewScript(`return redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])`)

// List returns about size records, in no order, and the cursor of the next: "" begins, and "" is
// the end. A record that comes, goes or changes meanwhile may be missed or come twice.
func (r *Records) List(ctx context.Context, cursor string, size int) (list []Item, next string, err error) {
	shard, at, err := r.readCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	for shard < r.shards && len(list) < size {
		var page []Item
		if page, at, err = r.page(ctx, shard, at, size); err != nil {
			return nil, "", err
		}
		list = append(list, page...)
		if at == "0" {
			shard++
		}
	}
	if shard >= r.shards {
		return list, "", nil
	}
	return list, fmt.Sprintf("%x.%s", shard, at), nil
}

// readCursor reads a shard and the cursor of its HSCAN, and nothing else: Redis would answer a text
// that is no number with an error.
func (r *Records) readCursor(cursor string) (shard uint64, at string, err error) {
	if cursor == "" {
		return 0, "0", nil
	}
	left, right, _ := strings.Cut(cursor, ".")
	shard, err1 := strconv.ParseUint(left, 16, 64)
	_, err2 := strconv.ParseUint(right, 10, 64)
	if err1 != nil || err2 != nil || shard >= r.shards {
		return 0, "", ErrCursor
	}
	return shard, right, nil
}

// page returns some records of a shard and where to go on; "0" is the end.
func (r *Records) page(ctx context.Context, shard uint64, at string, size int) (list []Item, next string, err error) {
	v, err := r.db.Eval(ctx, scanScript, []string{r.shardKey(shard)}, at, size)
	if err != nil {
		return nil, "", err
	}
	answer, _ := v.([]any)
	if len(answer) != 2 {
		return nil, "", ErrAnswer
	}
	next, ok1 := answer[0].(string)
	pairs, ok2 := answer[1].([]any)
	if !ok1 || !ok2 {
		return nil, "", ErrAnswer
	}
	return items(pairs), next, nil
}

// pageSize is about how many records one round trip of All brings.
const pageSize = 500

// All yields every record once, in no order. An error ends it. A record that comes or goes
// meanwhile may be missed.
func (r *Records) All(ctx context.Context) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for shard := range r.shards {
			if !r.allOf(ctx, shard, yield) {
				return
			}
		}
	}
}

// allOf yields the records of one shard and reports whether to go on. HSCAN may repeat a record.
func (r *Records) allOf(ctx context.Context, shard uint64, yield func(Item, error) bool) bool {
	seen := map[string]bool{}
	for at := "0"; ; {
		list, next, err := r.page(ctx, shard, at, pageSize)
		if err != nil {
			yield(Item{}, err)
			return false
		}
		for _, e := range list {
			if !seen[e.ID] && !yield(e, nil) {
				return false
			}
			seen[e.ID] = true
		}
		if at = next; at == "0" {
			return true
		}
	}
}
