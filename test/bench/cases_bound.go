package main

import (
	"context"
	"time"

	"github.com/grantor-auth/grantor/test/bench/load"
	"github.com/grantor-auth/grantor/test/bench/proofs"
)

// longestBound is how long a measurement with proofs may be: those at its end are as old.
const longestBound = proofs.Lasting / 2

// More than what a contestant can use up; with one connection it waits for each answer.
const (
	proofsPerSecond      = 20_000
	proofsOfOnePerSecond = 6000
)

func prepareIssueBound(_ context.Context, f *fixture) (load.Plan, error) {
	return f.proven(load.Of(load.Cycle, f.Issue(), ""))
}

// prepareIntrospectBound needs proofs for its tokens alone: an API that introspects shows none.
func prepareIntrospectBound(ctx context.Context, f *fixture) (load.Plan, error) {
	p, err := withProofs(load.Of(load.Once, f.Issue(), nothing(liveTokens)...), liveTokens, f.TokenURL())
	if err != nil {
		return p, err
	}
	live, err := f.collect(ctx, p, "access_token", time.Minute)
	k := f.Introspect()
	k.Bound = true
	return load.Of(load.Cycle, k, live...), err
}

// prepareRefreshBound has the logins of refresh. The client has a secret, so that each refresh may
// be proven by another key: only its access token is bound (RFC 9449 §5).
func prepareRefreshBound(ctx context.Context, f *fixture) (load.Plan, error) {
	p, err := prepareRefresh(ctx, f)
	if err != nil {
		return p, err
	}
	return f.proven(p)
}

// proven adds proofs for the warm-up and for the measurement.
func (f *fixture) proven(p load.Plan) (load.Plan, error) {
	each := proofsPerSecond
	if f.connections < 4 {
		each = proofsOfOnePerSecond
	}
	return withProofs(p, each*(2+int(f.duration.Seconds())), f.TokenURL())
}

func withProofs(p load.Plan, n int, url string) (_ load.Plan, err error) {
	for i := range p.Kinds {
		p.Kinds[i].Bound = true
	}
	p.Proofs, err = proofs.Make(n, url)
	return p, err
}
