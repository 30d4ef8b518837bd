package middleware

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestEndedSet holds the set against a map: nothing is forgotten early without saying so, and
// nothing is kept that never came.
func TestEndedSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 80
		s, heard, now, lost := newEndedSet(most), map[string]time.Duration{}, time.Duration(0), false
		s.losing = func() {
			lost = true
			oldest := s.table.Load()
			names := 0
			for i := range oldest.slots {
				if oldest.slots[i].Load() != 0 {
					names++
				}
			}
			require.EqualValues(t, s.count.Load(), names, "nothing is forgotten before it is said")
		}
		add := func(t *rapid.T) {
			for range rapid.IntRange(1, 30).Draw(t, "names") {
				name := fmt.Sprint(rapid.IntRange(0, 160).Draw(t, "name"))
				s.add(name, now)
				heard[name] = now
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add":  add,
			"wait": func(t *rapid.T) { now += time.Duration(rapid.Int64Range(0, int64(retention)/3).Draw(t, "d")) },
			"": func(t *rapid.T) {
				s.trim(now)
				count := 0
				for i := range 170 {
					name := fmt.Sprint(i)
					at, known := heard[name]
					found := s.hasAny([]uint64{s.hash(name)})
					require.False(t, found && !known, "never heard of")
					require.True(t, found || !known || lost || now-at >= retention, "forgotten early: %s", name)
					require.False(t, found && now-at > retention+retention/generationCount, "kept for ever")
					if found {
						count++
					}
				}
				require.EqualValues(t, count, s.count.Load())
				require.LessOrEqual(t, count, most)
				require.LessOrEqual(t, len(s.generations), stampMask)
			},
		})
		require.True(t, !lost || len(heard) > most/2, "nothing is forgotten early for want of room when there is room")
	})
}

func TestEndedSetMemory(t *testing.T) {
	s := newEndedSet(defaultMaxEnded)
	for i := range 10_000 {
		s.add(fmt.Sprint("name-", i), 0)
	}
	bytes := 8 * len(s.table.Load().slots)
	t.Logf("10,000 ends take %d bytes", bytes)
	require.LessOrEqual(t, bytes, 10_000*22)
	for i := range 10_000 {
		require.True(t, s.hasAny([]uint64{s.hash(fmt.Sprint("name-", i))}))
		require.False(t, s.hasAny([]uint64{s.hash(fmt.Sprint("other-", i))}))
	}
}

func TestEndedSetHearsAgain(t *testing.T) {
	s := newEndedSet(defaultMaxEnded)
	x := []uint64{s.hash("x")}
	s.add("x", 0)
	s.add("x", retention/2)
	s.trim(retention + retention/generationCount + 1)
	require.True(t, s.hasAny(x), "retention counts from when the name was heard of last")
	s.trim(2 * retention)
	require.False(t, s.hasAny(x))
}
