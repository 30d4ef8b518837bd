package keys

import (
	"cmp"
	"slices"
	"time"
)

// schedule says when keys are made, used and removed.
type schedule struct {
	algorithms []Algorithm
	every      time.Duration // between two rotations; 0: none is planned
	ahead      time.Duration // between making and first use
	after      time.Duration // between last use and end
}

// supply has new keys for a plan. To make them takes time, so a plan only notes what it lacks.
type supply struct {
	keys  []Key
	taken []bool // of keys
	lacks []Algorithm
}

// reset takes back all keys.
func (s *supply) reset() { s.taken, s.lacks = make([]bool, len(s.keys)), nil }

// take returns a key, which is published from now on.
func (s *supply) take(alg Algorithm, now time.Time) (Key, bool) {
	for i, k := range s.keys {
		if k.Algorithm == alg && !s.taken[i] {
			s.taken[i] = true
			k.Created = now
			return k, true
		}
	}
	s.lacks = append(s.lacks, alg)
	return Key{}, false
}

// make makes the keys that were lacking.
func (s *supply) make() error {
	for _, alg := range s.lacks {
		k, err := generate(alg)
		if err != nil {
			return err
		}
		s.keys = append(s.keys, k)
	}
	return nil
}

// complete says whether every algorithm has a current key.
func (s schedule) complete(keys []Key, now time.Time) bool {
	return !slices.ContainsFunc(s.algorithms, func(alg Algorithm) bool {
		return !slices.ContainsFunc(keys, func(k Key) bool { return k.Algorithm == alg && k.current(now) })
	})
}

// plan returns the keys as they should be: for every algorithm one current and one next, and the
// retired ones until their end. With rotate, the next key is used as soon as every verifier can
// know it.
func (s schedule) plan(keys []Key, now time.Time, from *supply, rotate bool) []Key {
	now = now.UTC().Truncate(time.Millisecond)
	var out []Key
	for _, alg := range s.all(keys) {
		l := sequence{schedule: s, alg: alg, now: now, from: from, keys: sequenceOf(keys, alg, now)}
		if slices.Contains(s.algorithms, alg) {
			l.plan(rotate)
		} else {
			l.retire(rotate)
		}
		l.endings()
		out = append(out, l.keys...)
	}
	slices.SortStableFunc(out, func(a, b Key) int { return a.Created.Compare(b.Created) })
	return out
}

// all returns the algorithms that are used or have keys.
func (s schedule) all(keys []Key) []Algorithm {
	algs := slices.Clone(s.algorithms)
	for _, k := range keys {
		algs = append(algs, k.Algorithm)
	}
	slices.Sort(algs)
	return slices.Compact(algs)
}

// sequence is the keys of one algorithm in the order of their use.
type sequence struct {
	schedule
	alg  Algorithm
	now  time.Time
	from *supply
	keys []Key
}

func sequenceOf(keys []Key, alg Algorithm, now time.Time) (out []Key) {
	for _, k := range keys {
		if k.Algorithm == alg && !k.gone(now) {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b Key) int {
		if a.From.IsZero() != b.From.IsZero() { // keys without a plan come last
			return cmp.Compare(b.From.Unix(), a.From.Unix())
		}
		return cmp.Or(a.From.Compare(b.From), a.Created.Compare(b.Created))
	})
	return out
}

// current returns the index of the key in use, or -1.
func (l *sequence) current() int {
	for i := len(l.keys) - 1; i >= 0; i-- {
		if l.keys[i].used(l.now) {
			return i
		}
	}
	return -1
}

// plan provides a current and a next key.
func (l *sequence) plan(rotate bool) {
	i := l.current()
	if i < 0 {
		if !l.has(0) {
			return
		}
		i, rotate = 0, false
		l.keys[0].From = l.now // the first key, or the only one left: nothing to wait for
	}
	if !l.has(i + 1) {
		return
	}
	next := &l.keys[i+1]
	if rotate && !next.Fixed {
		next.From, next.Fixed = later(l.now, next.Created.Add(l.ahead)), true
	}
	if next.used(l.now) {
		l.plan(false)
		return
	}
	if !next.Fixed {
		next.From = l.due(l.keys[i].From, next.Created.Add(l.ahead), next.From)
	}
}

// has makes the key at an index where there is none.
func (l *sequence) has(i int) bool {
	if i < len(l.keys) {
		return true
	}
	k, ok := l.from.take(l.alg, l.now)
	if ok {
		l.keys = append(l.keys, k)
	}
	return ok
}

// due is when the key in use since begun should be followed: after every, and not before earliest.
// A change lies so far ahead that every node knows it in time. Zero: no rotation is planned.
func (l *sequence) due(begun, earliest, planned time.Time) time.Time {
	if l.every == 0 {
		return time.Time{}
	}
	soon, want := l.now.Add(staleAfter), later(begun.Add(l.every), earliest)
	switch {
	case !want.Before(soon):
		return want
	case !planned.IsZero() && !planned.After(soon):
		return planned
	}
	return soon
}

// retire ends the keys of an algorithm that is no longer configured: at their time, since nodes
// with an older configuration may still sign with them, or with the rotation that an operator asks
// for.
func (l *sequence) retire(rotate bool) {
	l.keys = slices.DeleteFunc(l.keys, func(k Key) bool { return k.From.IsZero() || k.From.After(l.now.Add(staleAfter)) })
	if i := l.current(); i >= 0 && i+1 == len(l.keys) {
		l.retireLast(&l.keys[i], rotate)
	}
}

func (l *sequence) retireLast(k *Key, rotate bool) {
	switch {
	case !k.current(l.now):
	case rotate:
		l.end(k, l.now)
	default:
		l.end(k, l.due(k.From, time.Time{}, k.Until))
	}
}

// endings ends the use of every key where the next begins, and its acceptance when the last token
// that it signed has expired.
func (l *sequence) endings() {
	for i := range l.keys {
		k := &l.keys[i]
		until := k.Until
		if i+1 < len(l.keys) {
			until = l.keys[i+1].From
		} else if slices.Contains(l.algorithms, l.alg) {
			until = time.Time{}
		}
		l.end(k, until)
	}
}

func (l *sequence) end(k *Key, until time.Time) {
	retired := k.Until.Equal(until) && !until.After(l.now)
	k.Until = until
	switch gone := until.Add(l.after); {
	case until.IsZero():
		k.Gone = time.Time{}
	case retired:
		k.Gone = later(k.Gone, gone) // tokens that it signed may have had a longer TTL
	default:
		k.Gone = gone
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
