package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/middleware"
)

// verifiers is how many there are: half introspect, a quarter check JWTs and ask where they cannot
// tell, a quarter check JWTs and have nobody to ask.
const verifiers = 50

// verifier is what an API has.
type verifier struct {
	name     string
	asks     int  // one node, the other, or both: see live.askFronts
	jwt      bool // it knows JWTs alone
	alone    bool // it has nobody to ask
	feed     *liveFront
	follower *middleware.Follower // nil: in another process
	verify   func(ctx context.Context, text string) (*middleware.Token, error)
}

// follow makes the verifiers. Each polls by a way of its own, of one node or both.
func (w *live) follow(t *testing.T, count int) {
	t.Helper()
	for i := range count {
		asks := i % len(w.askFronts)
		to := hostPort(w.askFronts[asks])
		v := &verifier{asks: asks, feed: newLiveFront(t, func() string { return to })}
		w.equip(t, v, i%4)
		v.name = fmt.Sprintf("%s, of %s", v.name, []string{"node 0", "node 1", "both nodes"}[asks])
		w.verifiers = append(w.verifiers, v)
	}
}

func hostPort(u string) string { return u[len("http://"):] }

// equip gives a verifier its follower and its kind.
func (w *live) equip(t *testing.T, v *verifier, kind int) {
	t.Helper()
	base := w.askFronts[v.asks]
	var err error
	v.follower, err = middleware.NewFollower(middleware.FollowerConfig{Issuer: liveIssuer, URL: "http://" + v.feed.Addr + "/oauth2/revocations",
		ClientID: "api", ClientSecret: w.d.api, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	t.Cleanup(v.follower.Close)
	ask, err := middleware.NewIntrospection(middleware.IntrospectionConfig{URL: base + "/oauth2/introspect", ClientID: "api",
		ClientSecret: w.d.api, Follow: v.follower})
	require.NoError(t, err)
	if v.name, v.verify = "introspection", ask.Verify; kind%2 == 0 {
		return
	}
	cfg := middleware.JWTConfig{Issuer: liveIssuer, JWKSURI: base + "/oauth2/jwks", Audience: "https://orders.example.com", Follow: v.follower}
	v.name, v.jwt = "JWT", true
	if kind == 1 {
		v.name, cfg.Ask = "JWT with Ask", ask
	} else {
		v.asks, v.alone = 0, true
	}
	j, err := middleware.NewJWT(cfg)
	require.NoError(t, err)
	t.Cleanup(j.Close)
	v.verify = j.Verify
}

// livePace is the pause of a verifier between two checks.
const livePace = 15 * time.Millisecond

// verify checks tokens until ctx ends.
func (w *live) verify(ctx context.Context, v *verifier) {
	for ctx.Err() == nil {
		if g := w.pick(v.jwt); g != nil {
			w.check(v, g)
		}
		time.Sleep(livePace/2 + rand.N(livePace))
	}
}

// check holds one check against the promise. It begins no earlier than begun says.
func (w *live) check(v *verifier, g *grant) (passed bool) {
	begun := w.now()
	token, err := v.verify(context.Background(), g.text)
	return w.judge(v, g, begun, token, err)
}

func (w *live) judge(v *verifier, g *grant, begun int64, token *middleware.Token, err error) (passed bool) {
	switch {
	case err == nil && g.scope != "" && !token.Scope.Has(g.scope):
		w.refused.Add(1) // what ended is refused, the rest goes on
	case err == nil:
		w.passed.Add(1)
		w.judgePass(v, g, begun)
		return true
	case errors.Is(err, middleware.ErrInvalidToken):
		w.refused.Add(1)
		w.judgeRefusal(v, g, err)
	default:
		w.unknown.Add(1)
	}
	return false
}

func (w *live) judgePass(v *verifier, g *grant, begun int64) {
	over := g.over[v.asks].Load()
	if over == 0 || begun <= over || g.undone.Load() {
		return
	}
	after := begun - over
	for {
		worst := w.worst.Load()
		if after <= worst || w.worst.CompareAndSwap(worst, after) {
			break
		}
	}
	if time.Duration(after) > liveLease {
		w.late.Add(1)
		w.note("PASSED %s after the 200: %s", time.Duration(after), v.of(g))
	}
}

func (w *live) judgeRefusal(v *verifier, g *grant, err error) {
	switch {
	case g.begun.Load() != 0:
	case g.lost.Load(), w.forgot.Load() && v.alone, w.revived.Load() && g.jwt:
		w.lost.Add(1)
	default:
		w.wrong.Add(1)
		w.note("REFUSED, and nobody ended it: %s: %v", v.of(g), err)
	}
}

// of describes a check.
func (v *verifier) of(g *grant) string {
	s := fmt.Sprintf("%s, of a token that ends so: %s; jwt %t, issued at %s, last asked to end at %s", v.name, g.how, g.jwt,
		time.Duration(g.born), time.Duration(g.begun.Load()))
	if v.follower != nil {
		s += fmt.Sprintf("; follower %+v", v.follower.Stats())
	}
	return s
}

// fresh waits until every verifier answers from memory, and says how long that took.
func (w *live) fresh(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	require.Eventually(t, func() bool {
		for _, v := range w.verifiers {
			if v.follower != nil && !v.follower.Stats().Fresh {
				return false
			}
		}
		return true
	}, 60*time.Second, 10*time.Millisecond, "verifiers stay stale: %v", w.staleness())
	return time.Since(begun)
}

// staleness says of the verifiers that are not fresh why.
func (w *live) staleness() (list []string) {
	for _, v := range w.verifiers {
		if v.follower == nil {
			continue
		}
		if s := v.follower.Stats(); !s.Fresh {
			list = append(list, fmt.Sprintf("%s: %v", v.name, s.Err))
		}
	}
	return list
}
