package feed_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The protocol of the feed, said as simply as possible: servers that lose their tail, nodes that
// stay with the old primary, ends in one step and in two, verifiers that poll, ask and remember.
// Time is counted in ticks; only a verifier's own clock decides anything.
const (
	ticksLease     = 10
	ticksLife      = 60 // of a token
	ticksRetention = ticksLife + 2
	pageSize       = 2
)

// rules are the rules of the protocol. Each is needed: TestRulesOfTheFeed takes them away one by
// one.
type rules struct {
	nonces        bool // a position is a number and a nonce
	appendFirst   bool // in two steps: the name is appended, and then the token ends
	confirmAppend bool // in two steps: the token ends only after replicas have the name
	confirm       bool // 200 only when replicas have it
	proven        bool // a node reads from what is proven to be the primary
	fromSending   bool // the lease counts from the sending of a poll
	complete      bool // an incomplete page renews nothing
	lastStays     bool // trimming leaves the last entry, and a lost position is a reset
}

func allRules() rules { return rules{true, true, true, true, true, true, true, true} }

type logEntry struct {
	number, nonce int
	name          int // 0: none
	added         int
}

// server is a primary or its replica: the stream, and the tokens that live.
type server struct {
	log   []logEntry
	alive map[int]bool
}

func (s *server) clone() *server { return &server{slices.Clone(s.log), maps.Clone(s.alive)} }

// pair is a primary with its replica, and the primary before it, to which nodes may still talk.
type pair struct {
	primary, replica, old *server
	cut                   [2]bool // nodes that talk to the old primary
}

func newPair() *pair {
	s := &server{log: []logEntry{{number: 1, nonce: -1}}, alive: map[int]bool{}}
	return &pair{primary: s, replica: s.clone()}
}

// failover promotes the replica; nodes that were with the old primary before are not there again.
func (p *pair) failover(stay [2]bool) {
	p.old, p.primary, p.cut = p.primary, p.replica, stay
	p.replica = p.primary.clone()
}

// at is the server that a node talks to.
func (p *pair) at(node int) *server {
	if p.cut[node] {
		return p.old
	}
	return p.primary
}

type place struct{ number, nonce int }

// poll is one under way.
type poll struct {
	sent     int
	node     int
	answered bool
	failed   bool
	reset    bool
	more     bool
	entries  []logEntry
	at       place
}

// question is one under way.
type question struct {
	begun, name, generation int
	answered, active, ok    bool
}

type verifier struct {
	at         place
	ended      map[int]bool
	kept       map[int]bool
	generation int
	freshUntil int // no check at a later tick counts as fresh
	poll       *poll
	question   *question
}

type protocol struct {
	rules
	choices []int
	now     int
	nonce   int
	twoStep bool
	stream  *pair // and the tokens, where an end is one step
	records *pair
	proof   [2]int // when each node last read from the proven primary
	issued  map[int]int
	done    map[int]int // when an end was answered 200
	again   []int       // answered 503
	readers []*verifier
	broken  string
}

func (w *protocol) pick(n int) int {
	if len(w.choices) == 0 {
		return 0
	}
	c := w.choices[0]
	w.choices = w.choices[1:]
	return c % n
}

func (w *protocol) yes() bool { return w.pick(2) == 1 }

// run makes steps until there are no more choices, and returns what was broken.
func (w *protocol) run() string {
	w.stream = newPair()
	w.records = w.stream
	if w.twoStep {
		w.records = newPair()
	}
	w.issued, w.done, w.now = map[int]int{}, map[int]int{}, 1
	for range 2 {
		w.readers = append(w.readers, &verifier{ended: map[int]bool{}, kept: map[int]bool{}, freshUntil: -1})
	}
	for len(w.choices) > 0 && w.broken == "" {
		w.step()
	}
	return w.broken
}

func (w *protocol) step() {
	v := w.readers[w.pick(len(w.readers))]
	switch w.pick(16) {
	case 0, 1:
		w.now += 1 + w.pick(6)
	case 2:
		w.issue()
	case 3:
		if len(w.issued) > 0 {
			w.end(1+w.pick(len(w.issued)), w.pick(2))
		}
	case 4:
		if len(w.again) > 0 {
			w.end(w.again[w.pick(len(w.again))], w.pick(2))
		}
	case 5:
		w.lose()
	case 6:
		w.trim()
	case 7, 8, 9, 10:
		w.followUp(v)
	case 11, 12, 13:
		w.ask(v)
	default:
		w.check(v)
	}
}

func (w *protocol) issue() {
	name := len(w.issued) + 1
	w.issued[name] = w.now
	w.records.primary.alive[name] = true
	w.records.replica.alive[name] = true
}

// lose loses a primary, or has nodes find the new one.
func (w *protocol) lose() {
	switch w.pick(4) {
	case 0:
		w.stream.failover([2]bool{w.yes(), w.yes()})
	case 1:
		w.records.failover([2]bool{w.yes(), w.yes()})
	case 2:
		w.stream.cut, w.records.cut = [2]bool{}, [2]bool{}
	default:
		w.stream.replica, w.records.replica = w.stream.primary.clone(), w.records.primary.clone()
		if !w.twoStep {
			w.records.replica = w.stream.replica
		}
	}
}

// confirmed says whether replicas have all that a node wrote.
func (w *protocol) confirmed(p *pair, node int) bool {
	if p.cut[node] || w.yes() {
		return !w.confirm
	}
	p.replica = p.primary.clone()
	return true
}

func (w *protocol) append(node, name int) {
	s := w.stream.at(node)
	w.nonce++
	s.log = append(s.log, logEntry{s.log[len(s.log)-1].number + 1, w.nonce, name, w.now})
}

// end ends a token at a node: 200, or it is remembered for a repetition at any node.
func (w *protocol) end(name, node int) {
	if w.endNow(name, node) {
		if _, before := w.done[name]; !before {
			w.done[name] = w.now
		}
		return
	}
	w.again = append(w.again, name)
}

func (w *protocol) endNow(name, node int) bool {
	records := w.records.at(node)
	if !records.alive[name] {
		return w.confirmed(w.records, node)
	}
	if !w.twoStep {
		delete(records.alive, name)
		w.append(node, name)
		return w.confirmed(w.stream, node)
	}
	if !w.appendFirst {
		delete(records.alive, name)
		if !w.confirmed(w.records, node) || w.yes() { // or the node stops here
			return false
		}
		w.append(node, name)
		return w.confirmed(w.stream, node)
	}
	w.append(node, name)
	if !w.confirmed(w.stream, node) && w.confirmAppend || w.yes() {
		return false
	}
	delete(records.alive, name)
	return w.confirmed(w.records, node)
}

func (w *protocol) trim() {
	s := w.stream.primary
	for len(s.log) > 1 && s.log[0].added < w.now-ticksRetention {
		s.log = s.log[1:]
	}
}

func choices() *rapid.Generator[[]int] {
	return rapid.SliceOfN(rapid.IntRange(0, 1<<16), 500, 1500)
}

// seeded are choices without a preference; those of rapid prefer small numbers, and shrink.
func seeded(seed int) []int {
	r, list := rand.New(rand.NewPCG(uint64(seed), 0)), make([]int, 1500)
	for i := range list {
		list[i] = r.IntN(1 << 16)
	}
	return list
}

// TestProtocol: no verifier lets a token pass later than lease after the end was answered 200.
func TestProtocol(t *testing.T) {
	for name, twoStep := range map[string]bool{"one step": false, "two steps": true} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			w := &protocol{rules: allRules(), twoStep: twoStep, choices: choices().Draw(t, "choices")}
			if broken := w.run(); broken != "" {
				t.Fatal(broken)
			}
		}))
		t.Run(name+", many times", func(t *testing.T) {
			for seed := range 10_000 {
				w := &protocol{rules: allRules(), twoStep: twoStep, choices: seeded(seed)}
				if broken := w.run(); broken != "" {
					t.Fatal("seed", seed, broken)
				}
			}
		})
	}
}

// TestRulesOfTheFeed: without any of its rules the protocol breaks its promise, and this model
// shows it.
func TestRulesOfTheFeed(t *testing.T) {
	for name, without := range map[string]func(*rules){
		"nonces":                              func(r *rules) { r.nonces = false },
		"append first":                        func(r *rules) { r.appendFirst = false },
		"an append that is confirmed":         func(r *rules) { r.confirmAppend = false },
		"200 for what is confirmed":           func(r *rules) { r.confirm = false },
		"a proven primary":                    func(r *rules) { r.proven = false },
		"a lease from the sending on":         func(r *rules) { r.fromSending = false },
		"a lease from a complete answer only": func(r *rules) { r.complete = false },
		"a reset where the position is gone":  func(r *rules) { r.lastStays = false },
	} {
		t.Run("without "+name, func(t *testing.T) {
			r := allRules()
			without(&r)
			for seed := range 20_000 {
				w := &protocol{rules: r, twoStep: true, choices: seeded(seed)}
				if broken := w.run(); broken != "" {
					t.Log("seed", seed, broken)
					return
				}
			}
			t.Error("nothing breaks")
		})
	}
}
