package clients

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// List returns a page of registrations, in no order, and the cursor of the next; "" begins, and ""
// is the end. One that changes meanwhile may come twice.
func (d *Redis) List(ctx context.Context, cursor string, size int) ([]*Stored, string, error) {
	list, next, err := d.records.List(ctx, cursor, size)
	if err != nil {
		return nil, "", ownError(err)
	}
	found := make([]*Stored, len(list))
	for i, e := range list {
		if found[i], err = readStored(e.ID, e.Text); err != nil {
			return nil, "", err
		}
	}
	return found, next, nil
}

// All walks over every registration, each once.
func (d *Redis) All(ctx context.Context, visit func(*Stored) error) error {
	for e, err := range d.records.All(ctx) {
		if err != nil {
			return ownError(err)
		}
		s, err := readStored(e.ID, e.Text)
		if err == nil {
			err = visit(s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SecretEnds returns how many clients have no secret that expires later, for each time of until,
// and the first of those ends that is later than now; zero: there is none.
func (d *Redis) SecretEnds(ctx context.Context, now time.Time, until []time.Time) (counts []int, next time.Time, err error) {
	args := []any{now.Unix()}
	for _, at := range until {
		args = append(args, at.Unix())
	}
	v, err := d.db.Eval(ctx, secretEnds, []string{endsKey}, args...)
	if err != nil {
		return nil, time.Time{}, err
	}
	answer, _ := v.([]any)
	if len(answer) != 1+len(until) {
		return nil, time.Time{}, fmt.Errorf("%w: unexpected answer about ends of secrets", ErrRecord)
	}
	for _, one := range answer[1:] {
		n, _ := one.(int64)
		counts = append(counts, int(n))
	}
	if first, _ := answer[0].(string); first != "" {
		seconds, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("%w: the end of a secret is no number", ErrRecord)
		}
		next = time.Unix(seconds, 0)
	}
	return counts, next, nil
}

// Ending returns how many clients have no secret that expires later than until, and the ids of
// some.
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
