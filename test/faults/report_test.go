package faults_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// audit asks for every token and uses every session's refresh token once, after the load: then
// Redis serves again, and nothing may be left open.
func (l *ledger) audit(t *testing.T) {
	t.Helper()
	var next atomic.Int64
	var open atomic.Int64
	deadline := time.Now().Add(30 * time.Second)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(l.tokens)); i = next.Add(1) - 1 {
				for !l.check(l.nodes[int(i)%len(l.nodes)], l.tokens[i]) {
					if time.Now().After(deadline) {
						open.Add(1)
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, open.Load(), "tokens of which nobody can tell whether they are active: %v", l.notes)
	for i, s := range l.sessions {
		if s == nil || s.ending {
			continue
		}
		a := l.refresh(context.Background(), l.nodes[i%len(l.nodes)], s.current)
		for l.took(ends, a); a.status == 503 && time.Now().Before(deadline); l.took(ends, a) { // the other node serves again, this one not yet
			time.Sleep(10 * time.Millisecond)
			a = l.refresh(context.Background(), l.nodes[i%len(l.nodes)], s.current)
		}
		if a.status != 200 {
			l.note(&l.lostRotations, "a session does not go on, user-%d: %d %s", s.user, a.status, a.body)
		}
	}
}

// innocent fails the test for every answer that no fault excuses.
func (l *ledger) innocent(t *testing.T) {
	t.Helper()
	require.Zero(t, l.wrong, "wrong answers: %s", l.said())
	require.Zero(t, l.unanswered, "requests without an answer: %s", l.said())
	require.Zero(t, l.refused, "undeserved refusals: %s", l.said())
}

// durable fails the test when something that was acknowledged is gone.
func (l *ledger) durable(t *testing.T) {
	t.Helper()
	require.Zero(t, l.lostRevocations, "acknowledged revocations lost: %s", l.said())
	require.Zero(t, l.lostRotations, "acknowledged rotations lost: %s", l.said())
}

// complete fails the test when a token that was issued is gone, where Redis lost nothing.
func (l *ledger) complete(t *testing.T) {
	t.Helper()
	require.Zero(t, l.lostTokens, "issued tokens lost: %s", l.said())
}

func (l *ledger) said() string { return "\n" + strings.Join(l.notes, "\n") }

// String is the ledger in one line.
func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%d requests, %d × 503, %d wrong, %d unanswered, %d refused otherwise; of what was acknowledged lost: %d of %d revocations, "+
		"%d of %d rotations, %d of %d tokens; slowest answer %s", l.requests, l.unavailable, l.wrong, l.unanswered, l.refused,
		l.lostRevocations, l.revocations, l.lostRotations, l.rotations, l.lostTokens, l.issued, seconds(l.slowest))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// allow widens a bound of time by what this machine itself stood still.
func (l *ledger) allow(bound time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bound + 3*l.stall
}

// unpassed skips a test of what is not so yet, and says it in the table.
func unpassed(t *testing.T, row, what, passes string) {
	t.Helper()
	figure(t, row, "**not passed yet**: "+what, passes)
	t.Skip(what)
}

// figure tells what was measured for a row of the threats, and the number that passes; the table of
// docs/evidence/faults.md is made of these lines.
func figure(t *testing.T, row, measured, passes string) {
	t.Helper()
	line := fmt.Sprintf("%s | %s | %s", row, measured, passes)
	t.Log(line)
	name := os.Getenv("GRANTOR_TEST_FIGURES")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	_, err = fmt.Fprintln(f, line) // one write: lines of parallel tests do not mix
	require.NoError(t, err)
	require.NoError(t, f.Close())
}
