package faults_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hour is a long run: a ledger whose tokens end, over two nodes of which one stays and one comes
// and goes.
type hour struct {
	*ledger
	t      *testing.T
	r      *sentries
	stays  *node      // lives for the whole run: its memory, goroutines and descriptors are compared
	going  deployment // of the other node
	out    *os.File   // the log; nil: none
	kinds  []ordeal
	paused bool

	nodesMu sync.RWMutex
	goes    *node // nil: down, or about to be

	failovers []time.Time // primaries that were replaced: what they alone had is gone
	excused   int         // requests without an answer of a node that was killed
	excusable int         // tokens of machines that a failover took: nobody waits for replicas to issue
	ended     int         // tokens that were asked for after their life, and were inactive
}

// Lives in the run are short, so that what it leaves behind ends while it is watched.
const (
	hourLife    = 60 * time.Second // of access tokens
	hourSession = 2 * time.Minute  // of logins, whatever happens
)

const hourConfig = `
[tokens]
access_ttl = "60s"
refresh_ttl = "90s"
refresh_max_ttl = "2m"
[limits]
window = "1m"
password_failures_per_address = 1000
[metrics]
listen = %q
`

// TestAnHourOfFaults runs for as long as GRANTOR_TEST_HOUR says (60m) and breaks something every
// minute, or more often when the run is shorter, so that each kind comes once.
// GRANTOR_TEST_HOUR_LOG names a file that gets a line for each.
func TestAnHourOfFaults(t *testing.T) {
	if os.Getenv("GRANTOR_TEST_FAULTS") != "hour" {
		t.Skip("takes more than an hour: GRANTOR_TEST_FAULTS=hour")
	}
	length, err := time.ParseDuration(or(os.Getenv("GRANTOR_TEST_HOUR"), "60m"))
	require.NoError(t, err)
	t.Run("S-20 S-22 an hour of mixed load with a fault every minute: 0 wrong, 0 lost, and everything is back at its base", func(t *testing.T) {
		h := newHour(t)
		begun := time.Now()
		h.run(t, length/20, nil)
		base := h.settle(t, nil)
		h.say("base", base, "after %s of load alone and a pause", (length / 20).Round(time.Second))
		h.run(t, length-length/20, h.kinds)
		end := h.settle(t, &base)
		h.say("end", end, "after a pause")
		figure(t, "S-20", fmt.Sprintf("%s of mixed load with a fault every %s, %d kinds in turn, wait_replicas = 1: %s; %d without an answer of a node that was killed, "+
			"%d machines' tokens gone with a primary; then, of the node that stayed, %s; in Redis %d keys before and %d after, %d without a lifetime",
			time.Since(begun).Round(time.Minute), h.every(length).Round(time.Second), len(h.kinds), h, h.excused, h.excusable,
			end.beside(base), base.keys, end.keys, end.eternal), "0 wrong, 0 lost; goroutines ± 10 %; memory + 25 %; descriptors and keys as before")
		h.innocentBut(t)
		h.durable(t)
		h.complete(t)
		require.Positive(t, h.ended)
		require.Empty(t, end.above(base), "what did not come back to its base")
	})
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func newHour(t *testing.T) *hour {
	t.Helper()
	r := newSentries(t)
	d := deploy(t, sentinel(r.addrs, 1), fmt.Sprintf(hourConfig, "127.0.0.1:"+freePort(t)))
	other := d.with(t, fmt.Sprintf(hourConfig, "127.0.0.1:"+freePort(t)), hourConfig)
	h := &hour{ledger: newLedger(d), t: t, r: r, stays: d.serve(t), going: *other, goes: other.serve(t)}
	h.kinds = h.ordeals()
	h.sessions = make([]*session, hourWorkers)
	if name := os.Getenv("GRANTOR_TEST_HOUR_LOG"); name != "" {
		var err error
		h.out, err = os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		t.Cleanup(func() { _ = h.out.Close() })
	}
	return h
}

// every is the time between two faults.
func (h *hour) every(length time.Duration) time.Duration {
	return min(time.Minute, (length-length/20)/time.Duration(len(h.kinds)))
}

// run loads the nodes for a while, and breaks the kinds in turn.
func (h *hour) run(t *testing.T, length time.Duration, list []ordeal) {
	t.Helper()
	stop := h.begin(t)
	defer stop()
	begun := time.Now()
	if len(list) == 0 {
		time.Sleep(length)
		return
	}
	every := min(time.Minute, length/time.Duration(len(list)))
	for i := 0; time.Since(begun) < length-every/2; i++ {
		time.Sleep(time.Until(begun.Add(time.Duration(i) * every)))
		h.suffer(t, list[i%len(list)])
	}
	time.Sleep(time.Until(begun.Add(length)))
}

// suffer breaks one thing, mends it, and waits until all is as it was; then it asks for every
// revocation that should still be remembered.
func (h *hour) suffer(t *testing.T, o ordeal) {
	t.Helper()
	o.inflict(t)
	back := h.back(t, kinds...)
	h.r.mend(t)
	h.remembers()
	h.steady(t, 5)
	h.say(o.name, h.measure(t), "served again after %s", seconds(back))
	require.Less(t, back, h.allow(15*time.Second), "%s: it does not serve again", o.name)
}

// say writes a line of the log.
func (h *hour) say(what string, m measured, format string, args ...any) {
	h.mu.Lock()
	line := fmt.Sprintf("%s | %s | %d requests, %d × 503, %d wrong, %d refused, %d unanswered (%d excused), lost %d revocations of %d, %d rotations of %d, %d tokens of %d (%d excused), "+
		"%d ended | %s | %s", time.Now().UTC().Format(time.TimeOnly), what, h.requests, h.unavailable, h.wrong, h.refused, h.unanswered, h.excused, h.lostRevocations, h.revocations,
		h.lostRotations, h.rotations, h.lostTokens, h.issued, h.excusable, h.ended, m, fmt.Sprintf(format, args...))
	notes := ""
	if h.wrong+h.refused+h.lostRevocations+h.lostRotations+h.lostTokens > 0 {
		notes = "\n" + strings.Join(h.notes, "\n")
	}
	h.mu.Unlock()
	h.t.Log(line + notes)
	if h.out != nil {
		_, _ = fmt.Fprintln(h.out, line+notes)
	}
}

// innocentBut is innocent, but for the answers that a killed node owes.
func (h *hour) innocentBut(t *testing.T) {
	t.Helper()
	require.Zero(t, h.wrong, "wrong answers: %s", h.said())
	require.Zero(t, h.refused, "undeserved refusals: %s", h.said())
	require.Equal(t, h.excused, h.unanswered, "requests without an answer: %s", h.said())
}
