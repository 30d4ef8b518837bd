package registry

import (
	"context"
	"errors"
	"slices"
)

// Repeater does again, until it is confirmed, what could not be; tokens.Pending is one.
type Repeater interface {
	// Again remembers what to do; what it knew under this key before is forgotten.
	Again(key any, do func(context.Context) error)
	// Settled forgets it: something later was confirmed.
	Settled(key any)
}

// recordChange names the last change of a record that was not confirmed.
type recordChange struct{ prefix, id string }

// Repeat has the change of a record done again by to, if err is one of unclear: it was made, or may
// have been, and was not confirmed. do compares what it finds, so that later changes are safe from
// it. to may be nil.
func (r *Records) Repeat(to Repeater, id string, err error, do func(context.Context) error, unclear ...error) {
	key := recordChange{r.prefix, id}
	switch {
	case to == nil:
	case err == nil:
		to.Settled(key)
	case slices.ContainsFunc(unclear, func(e error) bool { return errors.Is(err, e) }):
		to.Again(key, do)
	}
}
