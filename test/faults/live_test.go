package faults_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tallies are the counts of a live at a moment.
type tallies struct{ passed, refused, unknown, late, wrong, lost, ends int64 }

func (w *live) tally() tallies {
	w.mu.RLock()
	defer w.mu.RUnlock()
	x := tallies{w.passed.Load(), w.refused.Load(), w.unknown.Load(), w.late.Load(), w.wrong.Load(), w.lost.Load(), 0}
	for way, n := range w.ways {
		if way != "" {
			x.ends += int64(n)
		}
	}
	return x
}

// since says what was counted after a moment.
func (w *live) since(x tallies) string {
	y := w.tally()
	checks := y.passed + y.refused + y.unknown - x.passed - x.refused - x.unknown
	line := fmt.Sprintf("%d ends, %d checks: %d passed later than the lease, %d × 503, %d refused that nobody ended; latest pass %s after a 200",
		y.ends-x.ends, checks, y.late-x.late, y.unknown-x.unknown, y.wrong-x.wrong, seconds(time.Duration(w.worst.Load())))
	if lost := y.lost - x.lost; lost > 0 {
		line += fmt.Sprintf("; %d refusals of tokens that were lost, or may have ended", lost)
	}
	return line
}

// liveSpan is how long a fault lasts.
func liveSpan() time.Duration { return time.Duration(choose(1, 20)) * time.Second }

// steady waits until so many ends were acknowledged, and watches the checks for longer than a
// lease.
func (w *live) steady(t *testing.T, ends int64) {
	t.Helper()
	before := w.tally().ends
	require.Eventually(t, func() bool { return w.tally().ends >= before+ends }, 60*time.Second, 5*time.Millisecond,
		"nothing ends any more: %s", w.said())
	time.Sleep(liveLease + 300*time.Millisecond)
}

func (w *live) said() string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return "\n" + strings.Join(w.notes, "\n")
}

// suffer breaks one thing under the load, and says what became of the checks.
func (w *live) suffer(t *testing.T, name string, fault func(t *testing.T)) {
	t.Helper()
	before := w.tally()
	w.worst.Store(0)
	fault(t)
	w.fresh(t)
	w.steady(t, 5)
	figure(t, "IN-27", fmt.Sprintf("%d live verifiers, two nodes, %s: %s", len(w.verifiers), name, w.since(before)), "0 later than the lease")
	w.holds(t)
}

// holds fails the test when the promise was broken, or something was refused for no reason.
func (w *live) holds(t *testing.T) {
	t.Helper()
	require.Zero(t, w.late.Load(), "passed later than the lease: %s", w.said())
	require.Zero(t, w.wrong.Load(), "refused for no reason: %s", w.said())
}

// everyWay fails the test when tokens did not end in every way.
func (w *live) everyWay(t *testing.T) {
	t.Helper()
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, l := range lives {
		require.Contains(t, w.ways, l.name)
	}
	t.Logf("ends: %v; %d were answered otherwise first; %s", w.ways, w.refusedEnds.Load(), strings.Join(w.notes, "\n"))
}
