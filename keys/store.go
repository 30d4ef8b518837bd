package keys

import (
	"context"
	"slices"
	"time"
)

// Store keeps the keys of all nodes. It may be used by any number of goroutines and processes.
type Store interface {
	// Load returns all keys, none if there are none. An error says nothing about the keys. The slice and the keys are shared: nobody
	// changes them.
	Load(ctx context.Context) (State, error)

	// Swap puts other keys in the place of those that have this revision ("": of none), in one step, or returns ErrOvertaken if
	// others stand there. After any other error it is unknown whether they were stored.
	Swap(ctx context.Context, revision string, keys []Key) error

	// Lease makes holder the leader for ttl, or lets it stay so. False: another one is, or holder is not fit to be.
	Lease(ctx context.Context, holder string, ttl time.Duration) (bool, error)
}

// State is what a store has.
type State struct {
	Revision string    // another one after every change; "": there are no keys
	Time     time.Time // the store's own clock; zero: it has none
	Keys     []Key     // in the order of their making, then of their use
	Outdated bool      // they should be written again as they are
}

// same says whether keys are those of the state.
func (s State) same(keys []Key) bool {
	return slices.EqualFunc(s.Keys, keys, func(a, b Key) bool { return a.same(&b) })
}
