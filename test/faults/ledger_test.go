package faults_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// ledger is what nodes acknowledged, and what they must answer because of it. Its methods may be
// called by any number of goroutines.
//
// A token whose revocation was answered 200 is never active again. A token that was issued by 200,
// and that nobody asked to revoke, is active, or nobody can tell (503). An answer speaks of the
// token that was asked. A refresh token that was answered works, and gives one and the same
// successor.
type ledger struct {
	*caller
	nodes []*node

	mu       sync.Mutex
	tokens   []*token
	sessions []*session // of each worker; nil: none
	begun    time.Time
	over     bool // the load has ended
	kinds    map[kind]*service
	counts
}

// counts are what became of the requests.
type counts struct {
	requests    int
	unavailable int // 503
	unanswered  int // no answer at all
	refused     int // any other refusal: none was deserved
	wrong       int

	revocations, lostRevocations int // acknowledged; of these undone
	rotations, lostRotations     int
	issued, lostTokens           int

	slowest time.Duration // answer
	stall   time.Duration // the longest that this very process was not let run
	notes   []string      // of the first things that went wrong
}

// kind of request: whether it needs Redis to read, to write, or to make a write durable.
type kind string

const (
	reads  kind = "introspection"
	writes kind = "issue"
	ends   kind = "revocation and rotation"
)

var kinds = []kind{reads, writes, ends}

// service says when a kind of request was last answered well, and the longest time that it was not.
type service struct {
	asked, answered time.Time
	count           int
	without         time.Duration
}

// token is an access token that was answered by 200.
type token struct {
	text, client, sub string
	asked             bool // somebody has begun to revoke it: it may be inactive
	dead              bool // its revocation was acknowledged: it must be
	born              time.Time
}

// session is one login of a user.
type session struct {
	user    int
	current string // the refresh token that was answered last
	tokens  []*token
	ending  bool // a logout was begun
}

func newLedger(d *deployment, nodes ...*node) *ledger {
	l := &ledger{caller: newCaller(d), nodes: nodes, kinds: map[kind]*service{}}
	for _, k := range kinds {
		l.kinds[k] = &service{}
	}
	return l
}

// note counts something that must not happen and keeps the first of them. The lock must be held.
func (l *ledger) note(count *int, format string, args ...any) {
	*count++
	if len(l.notes) < 20 {
		l.notes = append(l.notes, fmt.Sprintf("%6.3fs ", time.Since(l.begun).Seconds())+fmt.Sprintf(format, args...))
	}
}

// took books an answer, and says whether it is a 200.
func (l *ledger) took(k kind, a answer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	l.slowest = max(l.slowest, a.took)
	switch a.status {
	case 200:
		now := time.Now()
		s := l.kinds[k]
		if !l.over {
			s.without = max(s.without, now.Sub(s.answered))
		}
		s.count++
		s.answered = now
		if asked := now.Add(-a.took); asked.After(s.asked) {
			s.asked = asked
		}
		return true
	case 503:
		l.unavailable++
		if a.header.Get("Retry-After") == "" || a.Code != "temporarily_unavailable" {
			l.note(&l.wrong, "503 without Retry-After or code: %s", a.body)
		}
	case 0:
		l.note(&l.unanswered, "%s: %v", k, a.err)
	}
	return false
}

// deny books a refusal that was not deserved.
func (l *ledger) deny(what string, a answer) {
	if a.status == 0 || a.status == 503 || a.status == 200 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(&l.refused, "%s: %d %s", what, a.status, a.body)
}

func (l *ledger) add(t *token) *token {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.issued++
	t.born = time.Now()
	l.tokens = append(l.tokens, t)
	return t
}

// ask marks tokens as ones that somebody has begun to revoke.
func (l *ledger) ask(list ...*token) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range list {
		t.asked = true
	}
}

// acknowledge marks tokens as revoked.
func (l *ledger) acknowledge(list ...*token) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revocations++
	for _, t := range list {
		t.dead = true
	}
}

// compare holds an introspection against the model. before says whether the token was dead when it
// was asked.
func (l *ledger) compare(t *token, before bool, a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case a.Active && !t.owns(a):
		l.note(&l.wrong, "another token's answer: asked for %s of %s, got %s", t.jti(), t.client, a.body)
	case a.Active && before:
		l.note(&l.lostRevocations, "revoked, and active again: %s of %s", t.jti(), t.client)
		t.dead = false // once is enough
	case !a.Active && a.body != `{"active":false}`:
		l.note(&l.wrong, "neither active nor the one inactive answer: %s", a.body)
	case !a.Active && !t.asked:
		l.note(&l.lostTokens, "issued, never revoked, and inactive: %s of %s", t.jti(), t.client)
		t.asked = true
	}
}

// jti is how introspection names the token (RFC 7662 §2.2).
func (t *token) jti() string {
	h := tokens.HashText(t.text)
	return tokens.ID(h[:16]).String()
}

// owns says whether an answer speaks of this token.
func (t *token) owns(a answer) bool {
	kind := "client"
	if t.client == "app" {
		kind = "user"
	}
	return a.JTI == t.jti() && a.ClientID == t.client && a.Sub == t.sub && a.SubType == kind && slices.Equal(a.Aud, []string{"https://orders.example.com"})
}

// steady waits until each kind of request was answered well a few times.
func (l *ledger) steady(t *testing.T, times int) {
	t.Helper()
	before := map[kind]int{}
	l.mu.Lock()
	for k, s := range l.kinds {
		before[k] = s.count
	}
	notes := slices.Clone(l.notes)
	l.mu.Unlock()
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for k, s := range l.kinds {
			if s.count < before[k]+times {
				return false
			}
		}
		return true
	}, 60*time.Second, 5*time.Millisecond, "the load does not run: %v", notes)
}

// back returns how long it took until a request of each of the kinds that was sent after now was
// answered well.
func (l *ledger) back(t *testing.T, list ...kind) time.Duration {
	t.Helper()
	from := time.Now()
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return !slices.ContainsFunc(list, func(k kind) bool { return !l.kinds[k].asked.After(from) })
	}, 30*time.Second, time.Millisecond, "%v do not come back", list)
	return time.Since(from)
}

// without is the longest time without a good answer to any of the kinds.
func (l *ledger) without(list ...kind) (longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range list {
		longest = max(longest, l.kinds[k].without)
	}
	return longest
}
