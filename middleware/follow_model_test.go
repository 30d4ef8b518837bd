package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// world is a server and a verifier, with everything between them that can go wrong: late, lost and
// repeated answers in either direction, pages, resets, entries that a failover renumbers, clocks
// that jump, names that no longer fit, ends that take long between their name and their answer,
// nodes that know of a client's end a lease later, and verifiers that start anew.
type world struct {
	t  testing.TB
	s  *fakeServer
	wg sync.WaitGroup

	f             *Follower
	opaque        *Introspection
	alone, asking *JWT

	mu           sync.Mutex
	tokens       []*modelToken
	plan         plan
	old          []byte // an answer to a poll of before
	wall, asleep time.Duration
	fell         time.Time // when the steady clock stood still; zero: it goes
	odd          time.Time // when one of the clocks was wrong last
	broken       []string
	seen         map[string]int
}

type modelToken struct {
	name, text string
	jwt        bool
	ended      time.Time // when the end was answered 200; zero: it was not
}

// plan is what happens to requests from now on.
type plan struct {
	there, back map[string]time.Duration // by path
	drop        string                   // path whose answers are lost
	repeat      bool                     // a poll is answered with an old answer
}

func (w *world) carry(r *http.Request, send func() *http.Response) (*http.Response, error) {
	w.mu.Lock()
	p, old, path := w.plan, w.old, r.URL.Path
	w.mu.Unlock()
	if err := pass(r, p.there[path]); err != nil {
		return nil, err
	}
	if p.repeat && path == pathFeed && old != nil {
		return jsonResponse(r, old), nil
	}
	text := bytesOf(send())
	w.mu.Lock()
	if path == pathFeed {
		w.old = text
	}
	w.mu.Unlock()
	if err := pass(r, p.back[path]); err != nil {
		return nil, err
	}
	if p.drop == path {
		return nil, errNetwork
	}
	return jsonResponse(r, text), nil
}

// pass takes a while, or as long as the request is wanted.
func pass(r *http.Request, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

// start puts a verifier in the place of the last one. It knows nothing.
func (w *world) start(most int) {
	if w.f != nil {
		w.f.Close()
	}
	w.f = w.s.follower(w.t)
	w.f.ended.max = most
	real := w.f.clock
	w.f.clock = func() moment {
		w.mu.Lock()
		defer w.mu.Unlock()
		m := real()
		if !w.fell.IsZero() {
			m.steady -= time.Since(w.fell)
		}
		return moment{m.wall + w.wall, m.steady - w.asleep}
	}
	w.opaque = w.s.introspection(w.t, w.f)
	w.alone, w.asking = w.s.jwt(w.t, w.f, nil), w.s.jwt(w.t, w.f, w.opaque)
}

func (w *world) issue(jwt bool) {
	tok := &modelToken{name: fmt.Sprint(len(w.tokens)), jwt: jwt}
	if tok.text = "gat_" + tok.name; jwt {
		tok.text = w.s.issueJWT(w.t, tok.name, nil)
	} else {
		w.s.issue(tok.text, 15*time.Minute)
		for _, kind := range []string{"jti", "sid"} {
			w.s.say(tok.text, kind, kind+"-"+tok.name)
		}
		w.s.say(tok.text, "rev", []string{"rev-" + tok.name, "client"})
	}
	w.tokens = append(w.tokens, tok)
}

// end appends a name, ends what has the name after a while, and answers after another. Of the ends
// of clients a node may know late; of others the store decides.
func (w *world) end(name string, which []*modelToken, toEnd, toAnswer, toNode time.Duration) {
	w.s.tell(name)
	w.wg.Go(func() {
		time.Sleep(toEnd)
		if name == nameless {
			w.s.tell(name) // Grantor says it before and after
		}
		w.wg.Go(func() {
			time.Sleep(toNode)
			w.s.set(func() {
				for _, tok := range which {
					w.s.tokens[tok.text].active = false
				}
			})
		})
		time.Sleep(toAnswer)
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, tok := range which {
			if tok.ended.IsZero() {
				tok.ended = time.Now()
			}
		}
	})
}

// check begins a check and holds its verdict against the promise.
func (w *world) check(tok *modelToken) {
	list := map[string]Verifier{"opaque": w.opaque}
	if tok.jwt {
		list = map[string]Verifier{"alone": w.alone, "asking": w.asking}
	}
	for kind, v := range list {
		w.wg.Go(func() {
			begun := time.Now()
			_, err := v.Verify(w.t.Context(), tok.text)
			w.mu.Lock()
			defer w.mu.Unlock()
			word := "good"
			if errors.Is(err, ErrInvalidToken) {
				word = "refused"
			} else if err != nil {
				word = "unknown"
			}
			w.seen[kind+" "+word]++
			if word == "good" && !tok.ended.IsZero() && begun.After(tok.ended.Add(w.s.lease)) {
				w.broken = append(w.broken, fmt.Sprintf("%s %s began %s after the end", kind, tok.text[:min(8, len(tok.text))], begun.Sub(tok.ended)))
			}
			if word == "refused" && kind != "alone" && w.s.isActive(tok.text) && w.alive(tok) {
				w.broken = append(w.broken, kind+" refused what nobody ended")
			}
		})
	}
}

// alive says that no name of a token was told.
func (w *world) alive(tok *modelToken) bool {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return !slices.ContainsFunc(w.s.entries, func(e fakeEntry) bool { return slices.ContainsFunc(e.names, w.s.tokens[tok.text].has) })
}

func (s *fakeServer) isActive(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[text].active
}

// renumber is a failover: the entries stay, and get other positions, perhaps those of others.
func (s *fakeServer) renumber() {
	s.set(func() {
		for i := range s.entries {
			s.entries[i].at = fmt.Sprintf("%d-0.%d", i+1, time.Now().UnixNano())
		}
		s.number = len(s.entries)
	})
}

func (w *world) actions() map[string]func(*rapid.T) {
	duration := func(t *rapid.T, name string, most time.Duration) time.Duration {
		return rapid.SampledFrom([]time.Duration{0, most / 100, most / 7, most / 3, most}).Draw(t, name)
	}
	one := func(t *rapid.T) *modelToken { return rapid.SampledFrom(w.tokens).Draw(t, "token") }
	checkAll := func(*rapid.T) {
		for _, tok := range w.tokens {
			w.check(tok)
		}
	}
	calm := func(t *rapid.T) {
		w.set(func() { w.plan = plan{} })
		w.issue(rapid.Bool().Draw(t, "jwt"))
		for range 3 {
			time.Sleep(3 * w.s.lease)
			checkAll(t)
		}
	}
	return map[string]func(*rapid.T){
		"issue": func(t *rapid.T) { w.issue(rapid.Bool().Draw(t, "jwt")) },
		"end": func(t *rapid.T) {
			tok := one(t)
			name := rapid.SampledFrom([]string{"jti-", "sid-", "rev-"}).Draw(t, "name") + tok.name
			w.end(name, []*modelToken{tok}, duration(t, "to end", 3*time.Second), duration(t, "to answer", time.Second), 0)
		},
		"end of a client": func(t *rapid.T) {
			w.end("client", slices.Clone(w.tokens), duration(t, "to end", time.Second), 0, duration(t, "to node", w.s.lease))
		},
		"end of nobody knows whom": func(t *rapid.T) {
			if rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
				return
			}
			w.end(nameless, []*modelToken{one(t)}, duration(t, "to end", 3*time.Second), 0, duration(t, "to node", w.s.lease))
		},
		"other ends": func(t *rapid.T) {
			for i := range rapid.IntRange(1, 12).Draw(t, "ends") {
				w.s.tell(fmt.Sprint("other-", time.Now().UnixNano(), i))
			}
		},
		"check": checkAll, "check again": checkAll,
		"wait": func(t *rapid.T) { time.Sleep(duration(t, "wait", 2*time.Second)) },
		"network": func(t *rapid.T) {
			p := plan{there: map[string]time.Duration{}, back: map[string]time.Duration{}}
			for _, path := range []string{pathFeed, pathIntrospect} {
				p.there[path], p.back[path] = duration(t, "there", 2*time.Second), duration(t, "back", 2*time.Second)
			}
			p.drop = rapid.SampledFrom([]string{"", "", "", pathFeed, pathIntrospect}).Draw(t, "drop")
			p.repeat = rapid.IntRange(0, 4).Draw(t, "repeat") == 0
			w.set(func() { w.plan = p })
		},
		"good network": func(*rapid.T) { w.set(func() { w.plan = plan{} }) },
		"calm":         calm, "calm again": calm,
		"failover": func(*rapid.T) { w.s.renumber() },
		"pages":    func(t *rapid.T) { n := rapid.IntRange(1, 20).Draw(t, "page"); w.s.set(func() { w.s.page = n }) },
		"clock": func(t *rapid.T) {
			d := rapid.SampledFrom([]time.Duration{-time.Hour, -time.Second, time.Second, time.Hour}).Draw(t, "jump")
			w.oneClock()
			w.set(func() { w.wall += d })
		},
		"sleep": func(t *rapid.T) {
			d := duration(t, "sleep", 2*time.Second)
			w.oneClock()
			w.set(func() { w.fell = time.Now() })
			time.Sleep(d)
			w.set(func() { w.asleep, w.fell, w.odd = w.asleep+d, time.Time{}, time.Now() })
		},
		"restart": func(t *rapid.T) { w.start(rapid.SampledFrom([]int{16, defaultMaxEnded}).Draw(t, "most")) },
		"": func(t *rapid.T) {
			w.mu.Lock()
			defer w.mu.Unlock()
			require.Empty(t, w.broken)
		},
	}
}

// oneClock lets a lease go by: two clocks that are wrong in the same lease are outside the promise.
func (w *world) oneClock() {
	time.Sleep(2*w.s.lease - time.Since(w.odd))
	w.odd = time.Now()
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// TestFollowModel: no check that begins later than the lease after the 200 of an end lets the token
// pass, whatever happens.
func TestFollowModel(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector itself fails (tsan_rtl.cpp: kEpochLast): a model is hours of one bubble; .ci/run has a run without it")
	}
	synctest.Test(t, func(t *testing.T) {
		seen := map[string]int{}
		var hits, resets uint64
		rapid.Check(struct{ testing.TB }{t}, func(r *rapid.T) { // hides Deadline, which a bubble has not
			w := &world{t: t, s: newFakeServer(), seen: seen}
			w.s.network = w.carry
			w.start(rapid.SampledFrom([]int{16, defaultMaxEnded}).Draw(r, "most"))
			defer func() {
				w.wg.Wait()
				hits, resets = hits+w.f.Stats().Hits, resets+w.f.Stats().Resets
				w.f.Close()
			}()
			w.issue(false)
			w.issue(true)
			r.Repeat(w.actions())
			w.wg.Wait()
			require.Empty(r, w.broken)
		})
		t.Log(seen, "from memory:", hits, "resets:", resets)
		for _, kind := range []string{"opaque", "alone", "asking"} {
			for _, word := range []string{"good", "refused"} {
				require.NotZero(t, seen[kind+" "+word], "%s %s", kind, word)
			}
		}
		require.NotZero(t, hits)
		require.NotZero(t, resets)
	})
}
