package keys

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// world is a store whose leader comes and goes, and a node that is behind by up to staleAfter.
type world struct {
	t     *rapid.T
	s     schedule
	now   time.Time
	keys  []Key
	past  []sight
	first map[string]bool // keys that were used without waiting
}

// sight is what a node saw at one time.
type sight struct {
	at   time.Time
	keys []Key
}

var epoch = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func (w *world) plan(rotate bool, keys []Key) {
	next := edited(w.t, func(from *supply) []Key { return w.s.plan(keys, w.now, from, rotate) })
	for _, k := range next {
		if k.From.Equal(k.Created) {
			w.first[k.ID] = true
		}
	}
	w.keys = next
	w.see()
	again := edited(w.t, func(from *supply) []Key { return w.s.plan(next, w.now, from, false) })
	require.True(w.t, State{Keys: next}.same(again), "a plan that is carried out asks for nothing more: %v, %v", next, again)
}

// edited gives a plan the keys that it lacks.
func edited(t require.TestingT, plan func(*supply) []Key) []Key {
	var from supply
	for {
		from.reset()
		keys := plan(&from)
		if len(from.lacks) == 0 {
			return keys
		}
		require.NoError(t, from.make())
	}
}

func (w *world) see() { w.past = append(w.past, sight{w.now, w.keys}) }

// pass lets time pass, and looks at every node's choice on the way.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.see()
	for _, alg := range w.s.algorithms {
		require.True(w.t, w.s.complete(w.keys, w.now), "there is a key to sign with: %v", w.keys)
		n := 0
		for _, k := range w.keys {
			if k.Algorithm == alg && k.current(w.now) {
				n++
			}
		}
		require.Equal(w.t, 1, n, "and no more than one")
	}
	for _, old := range w.past {
		if w.now.Sub(old.at) < staleAfter {
			w.check(old.keys)
		}
	}
}

// check looks at the key with which a node signs now that saw these keys last.
func (w *world) check(seen []Key) {
	for _, k := range seen {
		if !k.current(w.now) {
			continue
		}
		i := slices.IndexFunc(w.keys, func(o Key) bool { return o.ID == k.ID && !o.gone(w.now) })
		require.GreaterOrEqual(w.t, i, 0, "%s signs and is not published: %+v", k, w.keys)
		if end := w.keys[i].Gone; !end.IsZero() {
			require.GreaterOrEqual(w.t, end.Sub(w.now), w.s.after-staleAfter, "JK-04 its tokens outlive it")
		}
		if !w.first[k.ID] {
			require.GreaterOrEqual(w.t, w.now.Sub(k.Created), w.s.ahead, "JK-04 published ahead of its use")
		}
	}
}

// TestSchedule holds the schedule to its promises while the configuration changes, operators rotate
// and leaders are away.
func TestSchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, now: epoch, first: map[string]bool{}, s: schedule{
			algorithms: []Algorithm{EdDSA}, every: time.Hour, ahead: 5*time.Minute + staleAfter, after: 12 * time.Minute}}
		w.plan(false, nil)
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) {},
			"seconds pass": func(t *rapid.T) {
				w.pass(time.Duration(rapid.Int64Range(0, 40_000).Draw(t, "ms")) * time.Millisecond)
			},
			"minutes pass":    func(t *rapid.T) { w.pass(time.Duration(rapid.IntRange(1, 90).Draw(t, "min")) * time.Minute) },
			"the leader acts": func(*rapid.T) { w.plan(false, w.keys) },
			"rotate":          func(*rapid.T) { w.plan(true, w.keys) },
			"compromised": func(*rapid.T) {
				w.past = nil // nodes that have not heard of it are not protected: that is its price
				w.plan(false, nil)
			},
			"configured anew": func(t *rapid.T) {
				w.s.every = rapid.SampledFrom([]time.Duration{0, 6 * time.Minute, 20 * time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "every")
				w.s.algorithms = rapid.SampledFrom([][]Algorithm{{EdDSA}, {EdDSA, ES256}, {ES256, EdDSA}}).Draw(t, "algorithms")
				w.plan(false, w.keys)
			},
		})
	})
}

func TestScheduleChanges(t *testing.T) {
	s := schedule{algorithms: []Algorithm{EdDSA}, every: 90 * 24 * time.Hour, ahead: 330 * time.Second, after: 12 * time.Minute}
	plan := func(keys []Key, now time.Time, rotate bool) []Key {
		return edited(t, func(from *supply) []Key { return s.plan(keys, now, from, rotate) })
	}
	keys := plan(nil, epoch, false)
	require.Len(t, keys, 2)
	require.Equal(t, epoch, keys[0].From)
	require.Equal(t, epoch.Add(s.every), keys[1].From)
	require.Equal(t, keys[1].From, keys[0].Until)
	require.Equal(t, keys[1].From.Add(s.after), keys[0].Gone)

	t.Run("a shorter rotate_every, overdue at once, does not put itself off", func(t *testing.T) {
		now := epoch.Add(30 * 24 * time.Hour)
		s.every = 24 * time.Hour
		defer func() { s.every = 90 * 24 * time.Hour }()
		next := plan(keys, now, false)
		require.Equal(t, now.Add(staleAfter), next[1].From)
		require.Equal(t, now.Add(staleAfter), plan(next, now.Add(10*time.Second), false)[1].From)
	})
	t.Run("what an operator asked for is not put off by the schedule", func(t *testing.T) {
		now := epoch.Add(time.Minute)
		next := plan(keys, now, true)
		require.Equal(t, epoch.Add(s.ahead), next[1].From)
		require.Equal(t, next, plan(next, now.Add(time.Second), false))
	})
	t.Run("the retired key ends soon, however far off its end was planned", func(t *testing.T) {
		now := epoch.Add(24 * time.Hour)
		next := plan(keys, now, true)
		require.Len(t, next, 3)
		require.Equal(t, now, next[0].Until)
		require.Equal(t, now.Add(s.after), next[0].Gone)
	})
	t.Run("a retired key stays as long as tokens lived when it signed", func(t *testing.T) {
		now := epoch.Add(24 * time.Hour)
		next := plan(keys, now, true)
		s.after = time.Minute
		defer func() { s.after = 12 * time.Minute }()
		require.Equal(t, now.Add(12*time.Minute), plan(next, now.Add(time.Second), false)[0].Gone)
		s.after = time.Hour
		require.Equal(t, now.Add(time.Hour), plan(next, now.Add(time.Second), false)[0].Gone)
	})
	t.Run("nobody was there for a year", func(t *testing.T) {
		now := epoch.Add(365 * 24 * time.Hour)
		next := plan(keys, now, false)
		require.Len(t, next, 2)
		require.Equal(t, keys[1].ID, next[0].ID)
		require.Equal(t, now.Add(s.ahead), next[1].From)
	})
	t.Run("without a plan the next key stands by", func(t *testing.T) {
		s.every = 0
		next := plan(nil, epoch, false)
		require.Zero(t, next[1].From)
		require.Zero(t, next[0].Until)
		next = plan(next, epoch.Add(time.Hour), true)
		require.Equal(t, epoch.Add(time.Hour), next[1].From)
		require.Len(t, next, 3)
	})
	t.Run("an algorithm that is no longer configured ends with the rotation, also with one that was planned later", func(t *testing.T) {
		s.every, s.algorithms = 24*time.Hour, []Algorithm{ES256}
		defer func() { s.every, s.algorithms = 90*24*time.Hour, []Algorithm{EdDSA} }()
		find := func(keys []Key) Key {
			return keys[slices.IndexFunc(keys, func(k Key) bool { return k.Algorithm == EdDSA })]
		}
		now := epoch.Add(time.Hour)
		last := find(plan(keys, now, false))
		require.Equal(t, keys[0].ID, last.ID)
		require.Equal(t, epoch.Add(s.every), last.Until)
		require.Equal(t, last.Until.Add(s.after), last.Gone)
		last = find(plan(keys, now, true))
		require.Equal(t, now, last.Until, "or with the one that an operator asks for")
	})
}
