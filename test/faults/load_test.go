package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pace is the pause of a worker between two requests: enough of them, without filling the machine.
const pace = 3 * time.Millisecond

// load begins a mixed load by so many workers, each with a user of its own. The returned function
// ends it, after the last answer.
func (l *ledger) load(t *testing.T, workers int) (stop func()) {
	t.Helper()
	require.LessOrEqual(t, workers, l.d.users)
	ctx, cancel := context.WithCancel(context.Background())
	l.begun = time.Now()
	l.sessions = make([]*session, workers)
	for _, s := range l.kinds {
		s.answered = l.begun
	}
	var all sync.WaitGroup
	all.Go(func() { l.feelStalls(ctx) })
	for i := range workers {
		w := &worker{ledger: l, user: i, rng: rand.New(rand.NewPCG(uint64(i), 7))}
		all.Go(func() { w.work(ctx) })
	}
	stop = sync.OnceFunc(func() { cancel(); all.Wait(); l.over = true })
	t.Cleanup(stop)
	return stop
}

// feelStalls measures how long this process was not let run: bounds of time are wider by that.
func (l *ledger) feelStalls(ctx context.Context) {
	const step = 10 * time.Millisecond
	for last := time.Now(); ctx.Err() == nil; {
		time.Sleep(step)
		now := time.Now()
		l.mu.Lock()
		l.stall = max(l.stall, now.Sub(last)-step)
		l.mu.Unlock()
		last = now
	}
}

// worker is one client that does everything by turns.
type worker struct {
	*ledger
	user    int
	rng     *rand.Rand
	live    []*token // machines' tokens, issued by this worker
	pending []*token // whose revocation was not acknowledged
	away    bool     // the last revocation or rotation was refused
}

// took is the ledger's; during an outage a worker begins few new revocations, or nothing would be
// left to lose.
func (w *worker) took(k kind, a answer) bool {
	ok := w.ledger.took(k, a)
	if k == ends {
		w.away = !ok
	}
	return ok
}

// begins says whether to begin a new revocation.
func (w *worker) begins() bool { return !w.away || w.rng.IntN(50) == 0 }

func (w *worker) work(ctx context.Context) {
	for ctx.Err() == nil {
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		switch p := w.rng.IntN(100); {
		case p < 15:
			w.mint(n)
		case p < 30:
			w.end(n)
		case p < 55:
			w.turn(n)
		default:
			w.look(n)
		}
		time.Sleep(pace)
	}
}

func (w *worker) mint(n *node) {
	client := w.d.machines[w.rng.IntN(len(w.d.machines))]
	a := w.issue(context.Background(), n, client)
	if w.took(writes, a) {
		w.live = append(w.live, w.add(&token{text: a.Access, client: client, sub: client}))
	}
	w.deny("issue", a)
}

// end revokes a machine's token, or tries again what was not acknowledged.
func (w *worker) end(n *node) {
	var t *token
	switch {
	case len(w.pending) > 0:
		t, w.pending = w.pending[0], w.pending[1:]
	case len(w.live) > 2 && w.begins():
		i := w.rng.IntN(len(w.live))
		t = w.live[i]
		w.live = append(w.live[:i], w.live[i+1:]...)
	default:
		return
	}
	w.ask(t)
	a := w.revoke(context.Background(), n, t.client, t.text)
	if w.took(ends, a) {
		w.acknowledge(t)
	} else if w.rng.IntN(4) > 0 { // some are left in doubt
		w.pending = append(w.pending, t)
	}
	w.deny("revocation", a)
}

// look introspects a token, more often one of the latest: of them some have just been revoked.
func (w *worker) look(n *node) {
	w.mu.Lock()
	count := len(w.tokens)
	if count == 0 {
		w.mu.Unlock()
		return
	}
	i := w.rng.IntN(count)
	if w.rng.IntN(2) == 0 {
		i = count - 1 - w.rng.IntN(min(count, 100))
	}
	t := w.tokens[i]
	w.mu.Unlock()
	w.check(n, t)
}

// check introspects one token, and says whether there was an answer to compare.
func (l *ledger) check(n *node, t *token) bool {
	l.mu.Lock()
	before := t.dead
	l.mu.Unlock()
	a := l.introspect(context.Background(), n, t.text)
	if !l.took(reads, a) {
		l.deny("introspection", a)
		return false
	}
	l.compare(t, before, a)
	return true
}

// turn is the user's: log in, refresh, revoke an access token, log out.
func (w *worker) turn(n *node) {
	s := w.sessions[w.user]
	switch p := w.rng.IntN(100); {
	case s == nil:
		w.sessions[w.user] = w.enter(n)
	case s.ending || p < 6 && w.begins():
		w.leave(n, s)
	case p < 16 && w.begins():
		w.endAccess(n, s)
	default:
		w.rotate(n, s)
	}
}

func (w *worker) enter(n *node) *session {
	a := w.login(context.Background(), n, fmt.Sprintf("user-%d", w.user))
	w.deny("login", a)
	if !w.took(ends, a) {
		return nil
	}
	s := &session{user: w.user, current: a.Refresh}
	w.gain(s, a)
	return s
}

// gain books the access token of an answer.
func (w *worker) gain(s *session, a answer) {
	s.tokens = append(s.tokens, w.add(&token{text: a.Access, client: "app", sub: fmt.Sprintf("u-%d", s.user)}))
}

// leave logs out: the refresh token's revocation ends all tokens of the session (RFC 7009 §2.1).
func (w *worker) leave(n *node, s *session) {
	s.ending = true
	w.ask(s.tokens...)
	a := w.revoke(context.Background(), n, "app", s.current)
	w.deny("logout", a)
	if !w.took(ends, a) {
		return
	}
	w.acknowledge(s.tokens...)
	w.sessions[w.user] = nil
	if a := w.refresh(context.Background(), n, s.current); a.status == 200 {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.note(&w.lostRevocations, "logged out, and refreshed all the same: user-%d", s.user)
	}
}

func (w *worker) endAccess(n *node, s *session) {
	t := s.tokens[len(s.tokens)-1]
	w.ask(t)
	a := w.revoke(context.Background(), n, "app", t.text)
	w.deny("revocation", a)
	if w.took(ends, a) {
		w.acknowledge(t)
	}
}

// rotate uses the refresh token; now and then twice, as a client that lost the answer.
func (w *worker) rotate(n *node, s *session) {
	a := w.refresh(context.Background(), n, s.current)
	if !w.took(ends, a) {
		w.orphan(s, a)
		return
	}
	w.mu.Lock()
	w.rotations++
	w.mu.Unlock()
	w.gain(s, a)
	old := s.current
	s.current = a.Refresh
	if w.rng.IntN(4) > 0 {
		return
	}
	again := w.refresh(context.Background(), n, old)
	switch {
	case !w.took(ends, again):
		w.orphan(s, again)
	case again.Refresh != a.Refresh || again.Access != a.Access:
		s.current = again.Refresh
		w.gain(s, again)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.note(&w.lostRotations, "a refresh token has two successors: user-%d", s.user)
	}
}

// orphan books a refusal of a refresh token that was acknowledged.
func (w *worker) orphan(s *session, a answer) {
	if a.status == 0 || a.status == 503 {
		return
	}
	w.ask(s.tokens...)
	w.sessions[w.user] = nil
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(&w.lostRotations, "a session is lost, user-%d: %d %s", s.user, a.status, a.body)
}
