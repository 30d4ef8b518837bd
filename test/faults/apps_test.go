package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// apps are users with a session each, whose apps are as they should be: an app keeps its refresh
// token until it has an answer, and comes back when Retry-After says so.
type apps struct {
	*caller
	current []string // the refresh token of each
	node    atomic.Pointer[node]
	over    atomic.Bool

	rotated, refused, lost atomic.Int64 // answers: 200, 503, and what ended a session
	mu                     sync.Mutex
	said                   []string // of lost ones
}

// appCount is how many sessions a fault must leave alive.
const appCount = 20

// logIn logs everybody in on a node.
func logIn(t *testing.T, d *deployment, n *node) *apps {
	t.Helper()
	p := &apps{caller: newCaller(d), current: make([]string, appCount)}
	p.node.Store(n)
	for i := range p.current {
		a := p.login(t.Context(), n, fmt.Sprintf("user-%d", i))
		require.Equal(t, 200, a.status, a.body)
		p.current[i] = a.Refresh
	}
	return p
}

// loseAnswers makes everybody use their token once and lose the answer: it was given, and did not
// arrive.
func (p *apps) loseAnswers(t *testing.T) {
	t.Helper()
	answers := make([]answer, len(p.current))
	var all sync.WaitGroup
	for i, token := range p.current { // at once: the fault must begin within the retry window of each
		all.Go(func() { answers[i] = p.refresh(t.Context(), p.node.Load(), token) })
	}
	all.Wait()
	for i, a := range answers {
		require.Equal(t, 200, a.status, "user-%d: %s", i, a.body)
	}
}

// try uses a session's token once, waits as long as the answer asks for, and says whether there is
// a new one.
func (p *apps) try(i int) bool {
	a := p.refresh(context.Background(), p.node.Load(), p.current[i])
	wait := time.Second
	switch a.status {
	case 200:
		p.rotated.Add(1)
		p.current[i] = a.Refresh
		return true
	case 0: // nobody is there
	case 503:
		p.refused.Add(1)
		if s, err := strconv.Atoi(a.header.Get("Retry-After")); err == nil {
			wait = time.Duration(s) * time.Second
		}
	default:
		p.lost.Add(1)
		p.mu.Lock()
		p.said = append(p.said, fmt.Sprintf("user-%d: %d %s", i, a.status, a.body))
		p.mu.Unlock()
		p.current[i] = ""
		return false
	}
	for until := time.Now().Add(wait); time.Now().Before(until) && !p.over.Load(); {
		time.Sleep(50 * time.Millisecond)
	}
	return false
}

// each runs f for every session that goes on, all at one time.
func (p *apps) each(f func(i int)) {
	var all sync.WaitGroup
	for i := range p.current {
		if p.current[i] != "" {
			all.Go(func() { f(i) })
		}
	}
	all.Wait()
}

// refreshAll lets everybody use their token until it has been answered, and again with what they
// got.
func (p *apps) refreshAll() {
	deadline := time.Now().Add(60 * time.Second)
	p.each(func(i int) {
		for answered := 0; answered < 2 && p.current[i] != "" && time.Now().Before(deadline); {
			answered += btoi(p.try(i))
		}
	})
}

// alive demands that no session was lost.
func (p *apps) alive(t *testing.T) {
	t.Helper()
	require.Zero(t, p.lost.Load(), "sessions lost: %v", p.said)
	for i, token := range p.current {
		a := p.refresh(t.Context(), p.node.Load(), token)
		require.Equal(t, 200, a.status, "user-%d: %s", i, a.body)
	}
}

// trail is the same deployment, whose trail of events is in a file.
func (d *deployment) trail(t *testing.T) (file string) {
	t.Helper()
	b, err := os.ReadFile(d.config)
	require.NoError(t, err)
	file = filepath.Join(t.TempDir(), "audit.jsonl")
	const none = "[audit]\noutput = \"\"\n"
	require.Contains(t, string(b), none)
	text := strings.Replace(string(b), none, fmt.Sprintf("[audit]\noutput = %q\n", file), 1)
	require.NoError(t, os.WriteFile(d.config, []byte(text), 0o600))
	return file
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file) // #nosec G304 -- this test's own
	require.NoError(t, err)
	return string(b)
}

// events counts those of a name in a trail.
func events(t *testing.T, file, name string) (n int) {
	t.Helper()
	for line := range strings.Lines(read(t, file)) {
		var e struct{ Event string }
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		n += btoi(e.Event == name)
	}
	return n
}
