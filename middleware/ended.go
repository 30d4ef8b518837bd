package middleware

import (
	"hash/maphash"
	"slices"
	"sync/atomic"
	"time"
)

// retention is how long an ended name is remembered after it was heard of: as long as any access
// token may live that was issued before, and two minutes (feed.Retention).
const retention = 24*time.Hour + 2*time.Minute

// Bounds of MaxEnded.
const (
	defaultMaxEnded = 1_000_000
	minMaxEnded     = 1_000
)

// A slot of the table is the hash of a name, whose last bits are the stamp of the generation in
// which the name was heard of. A stamp is never 0, so that an empty slot is 0.
const (
	stampMask       = 1<<5 - 1
	generationCount = 8 // as old names go in steps of an eighth of retention, or of the most names
)

// endedSet holds the names that have ended, each as a hash of 59 bits: 11 to 22 bytes a name.
// Two names of one hash are possible, once in 10^11 checks of a full set, and cost a question. One
// goroutine writes. Any number may read, without a lock.
type endedSet struct {
	seed  maphash.Seed // random: nobody can make names that collide
	max   int
	table atomic.Pointer[endedTable]
	count atomic.Int64

	generations []generation // oldest first; the last one is open
	losing      func()       // called before names are forgotten that could still matter; may be nil
}

// generation is what was heard of in one stretch of time. It is forgotten as a whole.
type generation struct {
	stamp  uint64
	opened time.Duration // by the steady clock
	closed time.Duration
	count  int // names that were heard of in this generation last
}

func newEndedSet(most int) *endedSet {
	s := &endedSet{seed: maphash.MakeSeed(), max: most}
	s.table.Store(newEndedTable(0))
	return s
}

// hash is what the set keeps of a name.
func (s *endedSet) hash(name string) uint64 { return maphash.String(s.seed, name) &^ stampMask }

// hasAny says whether one of these has ended.
func (s *endedSet) hasAny(hashes []uint64) bool {
	t := s.table.Load()
	for _, h := range hashes {
		if _, found := t.find(h); found {
			return true
		}
	}
	return false
}

// add takes a name that was heard of now.
func (s *endedSet) add(name string, now time.Duration) {
	g := s.open(now)
	h, t := s.hash(name), s.table.Load()
	i, found := t.find(h)
	if found {
		old := t.slots[i].Load() & stampMask
		s.generations[s.of(old)].count--
	} else {
		if t.crowded(int(s.count.Load())) {
			t = s.rebuild(0)
			i, _ = t.find(h)
		}
		s.count.Add(1)
	}
	t.slots[i].Store(h | g.stamp)
	g.count++
}

// open returns the generation that takes names now.
func (s *endedSet) open(now time.Duration) *generation {
	if n := len(s.generations); n > 0 {
		g := &s.generations[n-1]
		if now-g.opened < retention/generationCount && g.count < s.max/generationCount {
			return g
		}
		g.closed = min(now, g.end())
		s.trim(now)
	}
	s.generations = slices.DeleteFunc(s.generations, func(g generation) bool { return g.count == 0 })
	g := generation{stamp: s.freeStamp(), opened: now}
	s.generations = append(s.generations, g)
	return &s.generations[len(s.generations)-1]
}

// freeStamp returns a stamp that no generation has. trim sees to it that there is one.
func (s *endedSet) freeStamp() uint64 {
	stamp := uint64(1)
	for s.of(stamp) >= 0 {
		stamp++
	}
	return stamp
}

func (s *endedSet) of(stamp uint64) int {
	return slices.IndexFunc(s.generations, func(g generation) bool { return g.stamp == stamp })
}

// trim forgets names that no living token can have, and, where the set is too large, the oldest
// names.
func (s *endedSet) trim(now time.Duration) {
	var gone uint64 // a bit for each stamp
	lost, left := false, int(s.count.Load())
	for len(s.generations) > 0 {
		oldest := s.generations[0]
		over := now-oldest.end() >= retention
		if !over && left <= s.max && len(s.generations) < stampMask {
			break
		}
		lost = lost || !over && oldest.count > 0
		gone |= 1 << oldest.stamp
		left -= oldest.count
		s.generations = s.generations[1:]
	}
	if lost && s.losing != nil {
		s.losing()
	}
	if gone != 0 {
		s.count.Store(int64(left))
		s.rebuild(gone)
	}
}

// end is when the last name of a generation can have been heard of.
func (g *generation) end() time.Duration {
	if g.closed != 0 {
		return g.closed
	}
	return g.opened + retention/generationCount
}

// rebuild makes a table with room for half as many names more, without those whose stamp is in
// gone.
func (s *endedSet) rebuild(gone uint64) *endedTable {
	t := newEndedTable(int(s.count.Load()) * 3 / 2)
	old := s.table.Load()
	for i := range old.slots {
		slot := old.slots[i].Load()
		if slot == 0 || gone>>(slot&stampMask)&1 == 1 {
			continue
		}
		free, _ := t.find(slot &^ stampMask)
		t.slots[free].Store(slot)
	}
	s.table.Store(t)
	return t
}

// endedTable is a hash table with open addressing. A slot that is set never becomes empty.
type endedTable struct {
	slots []atomic.Uint64 // a power of two
	shift int
}

// newEndedTable has room for so many names, at least for 192.
func newEndedTable(names int) *endedTable {
	size := 8
	for names*4 > 3<<size {
		size++
	}
	return &endedTable{slots: make([]atomic.Uint64, 1<<size), shift: 64 - size}
}

// crowded says that one name more would take more than three quarters of the table.
func (t *endedTable) crowded(names int) bool { return (names+1)*4 > len(t.slots)*3 }

// find returns the slot of a hash, or the empty one where it belongs.
func (t *endedTable) find(hash uint64) (i uint64, found bool) {
	last := uint64(len(t.slots) - 1) // #nosec G115 -- there are slots
	for i = hash >> t.shift; ; i = (i + 1) & last {
		switch slot := t.slots[i].Load(); {
		case slot == 0:
			return i, false
		case slot&^stampMask == hash:
			return i, true
		}
	}
}
