package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"testing"
	"time"
)

// The load: so many workers, each of a request every hourPace at most. That is 200 a second.
const (
	hourWorkers = 8
	hourPace    = 40 * time.Millisecond
)

// Times by which a token is judged: it must live until hourLife less hourDoubt after it was
// answered, since a repeated refresh answers a token that was issued up to a quarter of its life
// before; and it must be over hourSkew after its life.
const (
	hourDoubt = 20 * time.Second
	hourSkew  = 3 * time.Second
)

// hourWorker does everything by turns, at a pace.
type hourWorker struct {
	*worker
	h       *hour
	since   time.Time // of the session
	notNow  time.Time // no login before
	revoked []*token  // of late
}

// begin starts the load. The returned function ends it, after the last answer.
func (h *hour) begin(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	h.begun, h.over = time.Now(), false
	h.forgetGaps()
	var all sync.WaitGroup
	all.Go(func() { h.feelStalls(ctx) })
	for i := range hourWorkers {
		w := &hourWorker{worker: &worker{ledger: h.ledger, user: i, rng: rand.New(rand.NewPCG(uint64(i), uint64(time.Now().UnixNano())))}, h: h, since: time.Now()}
		h.sessions[i] = nil
		all.Go(func() { w.work(ctx) })
	}
	stop = sync.OnceFunc(func() { cancel(); all.Wait(); h.over = true })
	t.Cleanup(stop)
	return stop
}

// pick chooses a node that a balancer would choose.
func (h *hour) pick(rng *rand.Rand) *node {
	h.nodesMu.RLock()
	defer h.nodesMu.RUnlock()
	if h.goes == nil || rng.IntN(2) == 0 {
		return h.stays
	}
	return h.goes
}

func (w *hourWorker) work(ctx context.Context) {
	tick := time.NewTicker(hourPace)
	defer tick.Stop()
	for ctx.Err() == nil {
		n := w.h.pick(w.rng)
		switch p := w.rng.IntN(1100); {
		case p < 700:
			w.look(n)
		case p < 950:
			w.mint(n)
		case p < 1000:
			w.end(n)
		case p < 1085:
			w.turn(n)
		case p < 1090:
			w.guess(n)
		default:
			w.garbage(n)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// mint issues a machine's token. Only the latest are kept for a revocation, so that they live for a
// while yet.
func (w *hourWorker) mint(n *node) {
	w.worker.mint(n)
	if len(w.live) > 20 {
		w.live = append(w.live[:0], w.live[1:]...)
	}
}

// look asks for a token: first of all for one whose life is over, which then is forgotten; or one
// that was revoked, one of the latest, or any.
func (w *hourWorker) look(n *node) {
	w.mu.Lock()
	if len(w.tokens) == 0 {
		w.mu.Unlock()
		return
	}
	if t := w.tokens[0]; time.Since(t.born) > hourLife+hourSkew {
		w.tokens[0] = nil
		w.tokens = w.tokens[1:]
		w.mu.Unlock()
		if !w.h.judge(n, t) {
			w.mu.Lock()
			w.tokens = append([]*token{t}, w.tokens...) // nobody could tell: again
			w.mu.Unlock()
		}
		return
	}
	t := w.choose()
	w.mu.Unlock()
	w.h.judge(n, t)
}

// choose returns a token to ask for. The lock must be held.
func (w *hourWorker) choose() *token {
	count := len(w.tokens)
	switch w.rng.IntN(3) {
	case 0: // one that was revoked, if a few tries find one
		for range 20 {
			if t := w.tokens[w.rng.IntN(count)]; t.dead {
				return t
			}
		}
	case 1:
		return w.tokens[count-1-w.rng.IntN(min(count, 100))]
	}
	return w.tokens[w.rng.IntN(count)]
}

// judge introspects a token and holds the answer against the model and its life. It says whether
// there was an answer.
func (h *hour) judge(n *node, t *token) bool {
	h.mu.Lock()
	before := t.dead
	h.mu.Unlock()
	age := time.Since(t.born)
	a := h.introspect(context.Background(), n, t.text)
	if !h.took(reads, a) {
		h.deny("introspection", a)
		return false
	}
	h.mu.Lock()
	if age > hourLife+hourSkew {
		h.ended++
		if a.Active {
			h.note(&h.wrong, "active %s after it was issued: %s of %s", age, t.jti(), t.client)
		}
	}
	if !a.Active && !t.asked {
		switch {
		case time.Since(t.born) > hourLife-hourDoubt:
			t.asked = true // its life may be over
		case t.client != "app" && h.gone(t):
			h.excusable++
			t.asked = true
		}
	}
	h.mu.Unlock()
	h.compare(t, before, a)
	return true
}

// gone says whether a token was issued by a primary just before it was replaced: an issue waits for
// no replica. The lock must be held.
func (h *hour) gone(t *token) bool {
	for _, at := range h.failovers {
		if t.born.After(at.Add(-5*time.Second)) && t.born.Before(at.Add(20*time.Second)) {
			return true
		}
	}
	return false
}

// remembers asks for every token whose revocation was acknowledged and whose life is not over.
func (h *hour) remembers() {
	h.mu.Lock()
	var list []*token
	for _, t := range h.tokens {
		if t.dead && time.Since(t.born) < hourLife {
			list = append(list, t)
		}
	}
	h.mu.Unlock()
	rng := rand.New(rand.NewPCG(1, uint64(len(list))))
	for _, t := range list {
		h.judge(h.pick(rng), t)
		time.Sleep(2 * time.Millisecond)
	}
}

// turn is the user's. Logins are short, and are not tried again at once.
func (w *hourWorker) turn(n *node) {
	s := w.sessions[w.user]
	switch {
	case s == nil && time.Now().Before(w.notNow):
	case s == nil:
		w.since, w.notNow = time.Now(), time.Now().Add(3*time.Second)
		w.sessions[w.user] = w.enter(n)
	case time.Since(w.since) > hourSession-30*time.Second: // no logout was acknowledged in all that time
		w.ask(s.tokens...)
		w.sessions[w.user] = nil
	case time.Since(w.since) > 40*time.Second:
		w.leave(n, s)
	default:
		w.worker.turn(n)
	}
}

// guess tries a wrong password, of a user who never logs in or of nobody.
func (w *hourWorker) guess(n *node) {
	name := "user-31"
	if w.rng.IntN(2) == 0 {
		name = fmt.Sprintf("nobody-%d", w.rng.IntN(1000))
	}
	a := w.post(context.Background(), n.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"password"}, "client_id": {"app"}, "username": {name}, "password": {"wrong"}})
	w.h.refuses(a, "wrong password", 400)
}

// garbage asks for what nobody may have.
func (w *hourWorker) garbage(n *node) {
	ctx := context.Background()
	switch w.rng.IntN(4) {
	case 0:
		a := w.introspect(ctx, n, fmt.Sprintf("gat_%d", w.rng.Uint64()))
		w.h.inactive(a)
	case 1:
		w.h.refuses(w.refresh(ctx, n, fmt.Sprintf("grt_%d", w.rng.Uint64())), "garbage as a refresh token", 400)
	case 2:
		w.h.refuses(w.post(ctx, n.URL+"/oauth2/token", "nobody", "x", url.Values{"grant_type": {"client_credentials"}}), "no client", 401, 429)
	case 3:
		w.h.refuses(w.post(ctx, n.URL+"/oauth2/token", "machine-0", w.d.secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"\x00\xff"}}), "garbage as a scope", 400)
	}
}

// refuses books an answer that must be one of the refusals, or nobody can tell.
func (h *hour) refuses(a answer, what string, statuses ...int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests++
	for _, s := range append(statuses, 503) {
		if a.status == s {
			h.unavailable += btoi(s == 503)
			return
		}
	}
	if a.status == 0 {
		h.note(&h.unanswered, "%s: %v", what, a.err)
		return
	}
	h.note(&h.wrong, "%s: %d %s", what, a.status, a.body)
}

// inactive books the introspection of garbage.
func (h *hour) inactive(a answer) {
	if !h.took(reads, a) {
		h.deny("introspection of garbage", a)
		return
	}
	if a.body != `{"active":false}` {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.note(&h.wrong, "garbage, and not inactive: %s", a.body)
	}
}
