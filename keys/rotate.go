package keys

import (
	"context"
	"errors"
	"time"
)

// Rotate makes every algorithm's next key sign as soon as every verifier can know it: at once,
// unless it was published just before. With compromised it removes all keys: tokens that they
// signed are accepted no more, and new keys sign at once, which verifiers must fetch first.
//
// It reports whether that changed anything: a rotation that is under way is not begun again. With
// ErrNotDurable of redisdb it did. It needs only the store, and ignores cfg.Store: a process that
// serves nothing can call it, and nodes follow within seconds.
func Rotate(ctx context.Context, store Store, cfg Config, compromised bool) (changed bool, err error) {
	cfg = cfg.withDefaults()
	cfg.Store = store
	if err := cfg.validate(); err != nil {
		return false, err
	}
	s := cfg.schedule()
	return change(ctx, cfg, func(held State, now time.Time, from *supply) []Key {
		if compromised {
			return s.plan(nil, now, from, false)
		}
		return s.plan(held.Keys, now, from, true)
	})
}

// Rotate calls the function Rotate for the ring's store. The ring itself follows at once.
func (r *Ring) Rotate(ctx context.Context, compromised bool) error {
	_, err := Rotate(ctx, r.cfg.Store, r.cfg, compromised)
	return errors.Join(err, r.refresh(ctx))
}

// maintain carries out the schedule.
func maintain(ctx context.Context, cfg Config) (changed bool, err error) {
	return change(ctx, cfg, func(held State, now time.Time, from *supply) []Key {
		return cfg.schedule().plan(held.Keys, now, from, false)
	})
}

// begin makes the first keys where an algorithm has no current key.
func begin(ctx context.Context, cfg Config) error {
	s := cfg.schedule()
	_, err := change(ctx, cfg, func(held State, now time.Time, from *supply) []Key {
		if s.complete(held.Keys, now) {
			return held.Keys
		}
		return s.plan(held.Keys, now, from, false)
	})
	return err
}

// changeTries bounds the repetitions of a change that other nodes overtake.
const changeTries = 64

// change edits the keys by compare-and-swap, and reports whether it had to. New keys are made
// before the store is asked for the time that dates them.
func change(ctx context.Context, cfg Config, edit func(State, time.Time, *supply) []Key) (changed bool, err error) {
	var from supply
	for range changeTries {
		held, err := cfg.Store.Load(ctx)
		if err != nil {
			return false, err
		}
		from.reset()
		keys := edit(held, cfg.clock(held), &from)
		if len(from.lacks) > 0 {
			if err := from.make(); err != nil {
				return false, err
			}
			continue
		}
		if held.same(keys) && !held.Outdated {
			return false, nil
		}
		if err = cfg.Store.Swap(ctx, held.Revision, keys); !errors.Is(err, ErrOvertaken) {
			return true, err
		}
	}
	return false, ErrOvertaken
}
