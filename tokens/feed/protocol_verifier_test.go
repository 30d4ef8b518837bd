package feed_test

import (
	"fmt"
	"slices"
)

// followUp brings a poll forward: it is sent, answered by a node, and arrives, or gets lost.
func (w *protocol) followUp(v *verifier) {
	switch p := v.poll; {
	case p == nil:
		v.poll = &poll{sent: w.now, node: w.pick(2)}
	case !p.answered:
		w.serve(v, p)
	case p.failed || w.pick(8) == 0:
		v.poll = nil
	default:
		w.apply(v, p)
		v.poll = nil
	}
}

func (w *protocol) serve(v *verifier, p *poll) {
	p.answered = true
	if w.stream.cut[p.node] && w.proven {
		p.failed = true
		return
	}
	w.proof[p.node] = w.now
	log := w.stream.at(p.node).log
	next := slices.IndexFunc(log, func(e logEntry) bool {
		return e.number == v.at.number && (e.nonce == v.at.nonce || !w.nonces)
	}) + 1
	p.reset = next == 0 && v.at != place{}
	if p.reset && !w.lastStays { // whoever does not look behind it goes on with what is later
		p.reset = false
		next = len(log)
	}
	rest := log[next:]
	if len(rest) > pageSize {
		rest, p.more = rest[:pageSize], true
	}
	p.entries, p.at = slices.Clone(rest), v.at
	if len(rest) > 0 {
		p.at = place{rest[len(rest)-1].number, rest[len(rest)-1].nonce}
	}
}

func (w *protocol) apply(v *verifier, p *poll) {
	if p.reset {
		v.generation++
		v.kept, v.freshUntil = map[int]bool{}, -1
	}
	for _, e := range p.entries {
		v.ended[e.name] = true
	}
	v.at = p.at
	if p.more && w.complete {
		return
	}
	since := p.sent
	if !w.fromSending {
		since = w.now
	}
	v.freshUntil = max(v.freshUntil, since+ticksLease)
}

// ask brings a question forward. The verifier keeps the answer if nothing speaks against it.
func (w *protocol) ask(v *verifier) {
	switch q := v.question; {
	case q == nil:
		if len(w.issued) > 0 {
			v.question = &question{begun: w.now, name: 1 + w.pick(len(w.issued)), generation: v.generation}
		}
	case !q.answered:
		node := w.pick(2)
		q.answered = true
		q.ok = !w.proven || w.proof[node] > 0 && w.now-w.proof[node] <= ticksLease
		if w.twoStep && w.proven && w.records.cut[node] { // a Cluster's old primary answers nothing
			q.ok = false
		}
		q.active = w.records.at(node).alive[q.name] && w.now < w.issued[q.name]+ticksLife
	default:
		v.question = nil
		if !q.ok || !q.active {
			return
		}
		w.passes(q.name, q.begun, "asked")
		if v.freshUntil >= w.now && v.generation == q.generation && !v.ended[q.name] {
			v.kept[q.name] = true
		}
	}
}

// check is a request that the verifier decides by what it remembers.
func (w *protocol) check(v *verifier) {
	for name := range v.kept {
		if v.freshUntil >= w.now && !v.ended[name] && w.now < w.issued[name]+ticksLife {
			w.passes(name, w.now, "remembered")
		}
	}
}

// passes holds a check against the promise.
func (w *protocol) passes(name, begun int, how string) {
	if at, ended := w.done[name]; ended && begun > at+ticksLease {
		w.broken = fmt.Sprintf("token %d passes (%s) at %d, ended at %d", name, how, begun, at)
	}
}
