package keys

import (
	"context"
	"slices"
	"time"
)

// Store keeps the keys of all nodes. Any number of goroutines and processes may use it.
type Store interface {
	// Load returns all keys, none if there are none. An error says nothing about the keys. The
	// caller must not change the slice or the keys.
	Load(ctx context.Context) (State, error)

	// Swap replaces the keys of this revision ("": none) in one step, or returns ErrOvertaken if
	// there are others. After any other error it is unknown whether the keys were stored.
	Swap(ctx context.Context, revision string, keys []Key) error

	// Lease makes holder the leader for ttl, or extends its lease. False: another node leads, or
	// holder must not lead.
	Lease(ctx context.Context, holder string, ttl time.Duration) (bool, error)
}

// State is what a store holds.
type State struct {
	Revision string    // another one after every change; "": there are no keys
	Time     time.Time // the store's own clock; zero: it has none
	Keys     []Key     // in the order of creation, then of use
	Outdated bool      // they should be wrapped under the newest encryption key
}

// same says whether keys are those of the state.
func (s State) same(keys []Key) bool {
	return slices.EqualFunc(s.Keys, keys, func(a, b Key) bool { return a.same(&b) })
}
