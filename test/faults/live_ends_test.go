package faults_test

import (
	"context"
	"math/rand/v2"
	"net/url"
	"time"
)

// liveWorkers is how many lives of tokens go on at once.
const liveWorkers = 16

// ender issues tokens, lets them live for a while, and ends them in one of the ways, over and over.
type ender struct {
	*live
	ctx context.Context
	rng *rand.Rand
}

// lives are the ways in which tokens end. A life returns when the end was acknowledged, or when the
// test ends: then nobody can tell.
var lives = []struct {
	name string
	live func(e *ender, name string)
}{
	{"access token revoked", (*ender).revokesAccess},
	{"machine's token revoked", (*ender).revokesMachine},
	{"machine's token revoked", (*ender).revokesMachine},
	{"refresh token revoked", (*ender).revokesRefresh},
	{"session ended by the admin API", (*ender).endsSession},
	{"user logged out by the admin API", (*ender).endsUser},
	{"refresh token used again", (*ender).reuses},
	{"client disabled", (*ender).disables},
	{"tokens of a client revoked", (*ender).revokesClient},
	{"client narrowed", (*ender).narrows},
	{"client deleted", (*ender).deletes},
}

func (e *ender) work() {
	for e.ctx.Err() == nil {
		l := lives[e.rng.IntN(len(lives))]
		l.live(e, l.name)
	}
}

// let is the life of tokens: long enough for verifiers to remember them.
func (e *ender) let() { e.wait(time.Duration(200+e.rng.IntN(1500)) * time.Millisecond) }

func (e *ender) wait(d time.Duration) {
	select {
	case <-e.ctx.Done():
	case <-time.After(d):
	}
}

// try asks the nodes by turns until one answers as it must, and says whether one did. again: it is
// not the first time, and what was asked for may be done.
func (e *ender) try(ask func(n *liveNode, again bool) (answer, bool)) (a answer, ok bool) {
	for turn := e.rng.IntN(2); e.ctx.Err() == nil; turn++ {
		a, ok = ask(e.nodes[turn%2], turn > 1)
		if ok {
			return a, true
		}
		if a.status != 0 && a.status != 503 {
			e.note("an answer that nothing excuses: %d %s", a.status, a.body)
		}
		e.refusedEnds.Add(1)
		e.wait(time.Duration(20+e.rng.IntN(40)) * time.Millisecond)
	}
	return a, false
}

// finish ends tokens: they are marked, asked to end, and marked again when that is acknowledged.
func (e *ender) finish(name string, list []*grant, ask func(n *liveNode, again bool) (answer, bool)) {
	e.let()
	now := e.now()
	for _, g := range list {
		g.ask(now)
	}
	_, ok := e.try(ask)
	now = e.now()
	if !ok {
		return
	}
	for _, g := range list {
		g.acknowledge(now)
	}
	e.end(name, list)
}

// is200 says whether an answer is what was asked for.
func is200(a answer) (answer, bool) { return a, a.status == 200 }

// grant gives a token to the verifiers. takes is the scope that its end takes from it; "": all.
func (e *ender) grant(name, takes string, jwt bool, a answer) *grant {
	g := &grant{text: a.Access, jwt: jwt, born: e.now(), how: name, scope: takes}
	e.add(g)
	return g
}

// machine issues a token of a client that has a secret.
func (e *ender) machine(name, client, secret string, jwt bool) (*grant, bool) {
	a, ok := e.try(func(n *liveNode, _ bool) (answer, bool) {
		return is200(e.c.post(e.ctx, n.now.Load().URL+"/oauth2/token", client, secret, url.Values{"grant_type": {"client_credentials"}}))
	})
	if !ok {
		return nil, false
	}
	return e.grant(name, "", jwt, a), true
}

func (e *ender) revokesMachine(name string) {
	jwt := e.rng.IntN(2) == 0
	client := "machine-0"
	if jwt {
		client = "jwt-machine"
	}
	g, ok := e.machine(name, client, e.d.secret, jwt)
	if !ok {
		return
	}
	e.finish(name, []*grant{g}, func(n *liveNode, _ bool) (answer, bool) {
		return is200(e.c.revoke(e.ctx, n.now.Load(), client, g.text))
	})
}
