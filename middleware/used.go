package middleware

import (
	"context"
	"hash/maphash"
	"sync"
	"time"
)

// defaultMaxUsed is how many proofs a process remembers.
const defaultMaxUsed = 1_000_000

// usedSlice is how finely the ends of remembered proofs are told apart.
const usedSlice = 15 * time.Second

// used remembers proofs in this process. Proofs that end together are forgotten together: those
// that have expired, and when there are too many those that end first. Whatever ends before the
// horizon may have been forgotten, and counts as used.
type used struct {
	max  int
	now  func() time.Time
	seed maphash.Seed

	mu      sync.Mutex
	slices  map[int64]map[uint64]struct{} // of the end, in usedSlice
	count   int
	horizon int64 // slices up to it are forgotten
}

func newUsed(size int, now func() time.Time) *used {
	if size == 0 {
		size = defaultMaxUsed
	}
	return &used{max: size, now: now, seed: maphash.MakeSeed(), slices: map[int64]map[uint64]struct{}{}}
}

// Once implements UsedProofs.
func (u *used) Once(_ context.Context, key string, ttl time.Duration) error {
	now, h := u.now(), maphash.String(u.seed, key)
	end := sliceOf(now.Add(ttl))
	u.mu.Lock()
	defer u.mu.Unlock()
	u.forget(sliceOf(now) - 1)
	for u.count >= u.max {
		u.forgetFirst()
	}
	if end <= u.horizon {
		return ErrProofUsed
	}
	for _, seen := range u.slices {
		if _, ok := seen[h]; ok {
			return ErrProofUsed
		}
	}
	if u.slices[end] == nil {
		u.slices[end] = map[uint64]struct{}{}
	}
	u.slices[end][h] = struct{}{}
	u.count++
	return nil
}

func sliceOf(t time.Time) int64 { return t.UnixNano() / int64(usedSlice) }

// forget drops what ended up to a slice. The lock must be held.
func (u *used) forget(last int64) {
	if last <= u.horizon {
		return
	}
	u.horizon = last
	for end, seen := range u.slices {
		if end <= last {
			u.count -= len(seen)
			delete(u.slices, end)
		}
	}
}

// forgetFirst drops the slice that ends first. The lock must be held.
func (u *used) forgetFirst() {
	first := int64(1<<63 - 1)
	for end := range u.slices {
		first = min(first, end)
	}
	u.forget(first)
}
