package tokens

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// What the configurations of all nodes serve: each list of names that a node served, when a node
// served it last, and the names that a configuration lacked, and since when. Times are Redis's.
const (
	servedLists  = "served:{served}:lists"
	servedTimes  = "served:{served}:times"
	servedAbsent = "served:{served}:absent"
)

// servedTTL is how long a list is remembered that no node serves.
const servedTTL = 30 * 24 * time.Hour

// waitForOthers waits until every other node has said once more what it serves.
func waitForOthers(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2*ServedEvery + ServedEvery/2):
		return nil
	}
}

var (
	beginServing = newScript("clock", "fields", "parts", "served", "begin_serving")
	servedAfter  = newScript("served", "served_after")
	serving      = newScript("clock", "served", "serving")
)

// BeginServing implements Store. Nodes that go on with a name may not have said so since another
// node began without it. So a name comes back only if none of them says so within a while.
func (s *Redis) BeginServing(ctx context.Context, names []ServedName) (back, gone []ServedName, err error) {
	list, _ := joined(names)
	keys := []string{servedLists, servedTimes, servedAbsent}
	v, err := s.db.EvalDurable(ctx, beginServing, keys, list, unusedTTL.Milliseconds())
	answer, _ := v.([]any)
	if len(answer) != 4 {
		return nil, nil, orUnexpected(err)
	}
	if unnoted, _ := answer[2].(string); unnoted != "" {
		err = fmt.Errorf("%w: %s", ErrOnlyReads, unnoted)
	}
	back, gone = readNames(answer[0]), readNames(answer[1])
	if len(back) == 0 {
		return nil, gone, err
	}
	if err := s.waitForOthers(ctx); err != nil {
		return nil, nil, err
	}
	lists, lookErr := s.db.Eval(ctx, servedAfter, []string{servedLists, servedTimes}, answer[3])
	if lookErr != nil {
		return nil, nil, lookErr
	}
	kept := map[ServedName]bool{}
	served, _ := lists.([]any)
	for _, one := range served {
		text, _ := one.(string)
		for ; len(text) >= len(ServedName{}); text = text[len(ServedName{}):] {
			kept[ServedName([]byte(text[:len(ServedName{})]))] = true
		}
	}
	return slices.DeleteFunc(back, func(n ServedName) bool { return kept[n] }), gone, err
}

func orUnexpected(err error) error {
	if err == nil {
		err = fmt.Errorf("%w: unexpected answer of what is served", ErrRecord)
	}
	return err
}

func readNames(v any) (names []ServedName) {
	list, _ := v.([]any)
	for _, one := range list {
		if text, ok := one.(string); ok && len(text) == len(ServedName{}) {
			names = append(names, ServedName([]byte(text)))
		}
	}
	return names
}

// Serving implements Store. The list itself is sent only where Redis does not know it.
func (s *Redis) Serving(ctx context.Context, names []ServedName) error {
	list, digest := joined(names)
	for _, text := range [][]byte{nil, list} {
		v, err := s.db.Eval(ctx, serving, []string{servedLists, servedTimes},
			digest, text, unusedTTL.Milliseconds(), servedTTL.Milliseconds())
		if redisdb.OnlyReads(err) {
			return fmt.Errorf("%w: %w", ErrOnlyReads, err)
		}
		if err != nil || v == int64(1) || len(list) == 0 {
			return err
		}
	}
	return nil
}
