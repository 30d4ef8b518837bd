package tokens

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// What the configurations of all nodes serve: every list of names that some node served, when one did last, and which names a
// configuration was without, and since when. Times are Redis's.
const (
	servedLists  = "served:{served}:lists"
	servedTimes  = "served:{served}:times"
	servedAbsent = "served:{served}:absent"
)

// servedLife is how long a list that no node serves is known.
const servedLife = 30 * 24 * time.Hour

// settle waits until every node that goes on has said once more what it serves.
func settle(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2*ServedEvery + ServedEvery/2):
		return nil
	}
}

var (
	beginServing = newScript("clock", "fields", "served", "begin_serving")
	servedAfter  = newScript("served", "served_after")
	serving      = newScript("clock", "served", "serving")
)

// BeginServing implements Store. Where a node without a name began a moment ago, others that go on with it may not have said so
// since. So a name comes back only if none of them says so within a while.
func (s *Redis) BeginServing(ctx context.Context, names []ServedName) (back, gone []ServedName, err error) {
	list, _ := joined(names)
	v, err := s.db.EvalDurable(ctx, beginServing, []string{servedLists, servedTimes, servedAbsent}, list, foundationLife.Milliseconds())
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
	if err := s.settle(ctx); err != nil {
		return nil, nil, err
	}
	lists, lookErr := s.db.Eval(ctx, servedAfter, []string{servedLists, servedTimes}, answer[3])
	if lookErr != nil {
		return nil, nil, lookErr
	}
	live := map[ServedName]bool{}
	served, _ := lists.([]any)
	for _, one := range served {
		text, _ := one.(string)
		for ; len(text) >= len(ServedName{}); text = text[len(ServedName{}):] {
			live[ServedName([]byte(text[:len(ServedName{})]))] = true
		}
	}
	return slices.DeleteFunc(back, func(n ServedName) bool { return live[n] }), gone, err
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

// Serving implements Store. The list itself travels only where Redis does not know it.
func (s *Redis) Serving(ctx context.Context, names []ServedName) error {
	list, digest := joined(names)
	for _, text := range [][]byte{nil, list} {
		v, err := s.db.Eval(ctx, serving, []string{servedLists, servedTimes}, digest, text, foundationLife.Milliseconds(), servedLife.Milliseconds())
		if redisdb.OnlyReads(err) {
			return fmt.Errorf("%w: %w", ErrOnlyReads, err)
		}
		if err != nil || v == int64(1) || len(list) == 0 {
			return err
		}
	}
	return nil
}
