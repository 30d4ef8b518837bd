package main

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/grantor-auth/grantor/test/bench/contest"
	"github.com/grantor-auth/grantor/test/bench/load"
	"github.com/grantor-auth/grantor/test/bench/rivals"
)

// caseOf is one thing that is measured: prepare makes what its requests need, outside the measured
// time.
type caseOf struct {
	name, title string
	prepare     func(ctx context.Context, f *fixture) (load.Plan, error)
}

func allCases() []caseOf {
	return []caseOf{
		{"issue", "issue (client_credentials)", prepareIssue},
		{"introspect", "introspect", prepareIntrospect},
		{"garbage", "introspect garbage", prepareGarbage},
		{"refresh", "refresh", prepareRefresh},
		{"issue" + contest.Bound, "issue of bound tokens (DPoP)", prepareIssueBound},
		{"introspect" + contest.Bound, "introspect bound tokens (DPoP)", prepareIntrospectBound},
		{"refresh" + contest.Bound, "refresh with a proof (DPoP)", prepareRefreshBound},
		{"revoke", "revoke", prepareRevoke},
		{"mixed", "mixed: 70 % introspect, 25 % issue, 5 % revoke", prepareMixed},
		{contest.CaseCheck, "check of a request (ceiling: its introspection)", prepareCheck},
		{contest.CaseRoute, "request to a route of Gin", prepareRoute},
	}
}

// fixture is a running contestant and what a case may ask of it.
type fixture struct {
	*contest.Instance
	connections int
	duration    time.Duration // of the measurement to come
	answers     *answers
}

const (
	liveTokens  = 1000
	fillWorkers = 32
)

func prepareIssue(_ context.Context, f *fixture) (load.Plan, error) {
	return load.Of(load.Cycle, f.Issue(), ""), nil
}

func prepareIntrospect(ctx context.Context, f *fixture) (load.Plan, error) {
	live, err := f.fill(ctx, f.Issue(), "access_token", nothing(liveTokens), time.Minute)
	return load.Of(load.Cycle, f.Introspect(), live...), err
}

func prepareCheck(ctx context.Context, f *fixture) (load.Plan, error) {
	live, err := f.fill(ctx, f.Issue(), "access_token", nothing(liveTokens), time.Minute)
	return load.Of(load.Cycle, f.Check(), live...), err
}

// prepareGarbage makes texts that nobody minted: one third live tokens with a character changed,
// one third of their length and alphabet, one third of another length.
func prepareGarbage(ctx context.Context, f *fixture) (load.Plan, error) {
	live, err := f.fill(ctx, f.Issue(), "access_token", nothing(liveTokens), time.Minute)
	k := f.Introspect()
	k.Name = "garbage"
	p := load.Plan{Mode: load.Cycle, Kinds: []load.Kind{k}}
	for i, token := range live {
		text := []byte(token)
		switch i % 3 {
		case 0:
			at := len(text)/2 + rand.IntN(len(text)/4)
			text[at] = 'A' + (text[at]+1)%26
		case 1:
			copy(text[min(4, len(text)-20):], noise(len(text)))
		default:
			text = noise(40)
		}
		p.Steps = append(p.Steps, load.Step{Value: string(text)})
	}
	return p, err
}

func noise(n int) []byte {
	var b []byte
	for len(b) < n {
		b = append(b, crand.Text()...)
	}
	return b[:n]
}

// prepareRefresh logs in once for each chain: some for the warm-up, the rest for the measurement,
// of which wrk loses one.
func prepareRefresh(ctx context.Context, f *fixture) (load.Plan, error) {
	chains, err := f.fill(ctx, f.LogIn(), "refresh_token", rivals.Users()[:logIns(f.connections)], time.Minute)
	return load.Of(load.Chain, f.Refresh(), chains...), err
}

// logIns is how many chains a run needs.
func logIns(connections int) int { return 2*connections + 8 }

// prepareRevoke issues as many tokens as can be had in the time of the measurement.
func prepareRevoke(ctx context.Context, f *fixture) (load.Plan, error) {
	most := 100_000
	if f.connections < 4 {
		most = 5000 * int(f.duration.Seconds())
	}
	tokens, err := f.fill(ctx, f.Issue(), "access_token", nothing(most), f.duration+time.Second)
	return load.Of(load.Once, f.Revoke(), tokens...), err
}

// prepareMixed shuffles the three kinds, always in the same way.
func prepareMixed(ctx context.Context, f *fixture) (load.Plan, error) {
	live, err := f.fill(ctx, f.Issue(), "access_token", nothing(liveTokens), time.Minute)
	if err != nil {
		return load.Plan{}, err
	}
	doomed, err := f.fill(ctx, f.Issue(), "access_token", nothing(1500*int(f.duration.Seconds())), time.Minute)
	if err != nil {
		return load.Plan{}, err
	}
	p := load.Plan{Mode: load.Cycle, Kinds: []load.Kind{f.Introspect(), f.Issue(), f.Revoke()}}
	random := rand.New(rand.NewPCG(1, 2))
	for _, token := range doomed {
		begin := len(p.Steps)
		p.Steps = append(p.Steps, load.Step{Kind: 2, Value: token})
		for range 14 {
			p.Steps = append(p.Steps, load.Step{Kind: 0, Value: live[random.IntN(len(live))]})
		}
		for range 5 {
			p.Steps = append(p.Steps, load.Step{Kind: 1})
		}
		twenty := p.Steps[begin:]
		random.Shuffle(len(twenty), func(i, j int) { twenty[i], twenty[j] = twenty[j], twenty[i] })
	}
	return p, nil
}

// nothing is the values of n requests that need none.
func nothing(n int) []string { return make([]string, n) }

// fill asks with each value, but not longer than d, and returns a field of the answers.
func (f *fixture) fill(ctx context.Context, k load.Kind, field string, values []string, d time.Duration) ([]string, error) {
	return f.collect(ctx, load.Of(load.Once, k, values...), field, d)
}

// collect plays a plan, but not longer than d, and returns a field of the answers.
func (f *fixture) collect(ctx context.Context, p load.Plan, field string, d time.Duration) ([]string, error) {
	var mu sync.Mutex
	var found []string
	r := load.Run(ctx, p, min(len(p.Steps), fillWorkers), d,
		func(k load.Kind, _ string, status int, body []byte) error {
			var answer map[string]any
			if err := json.Unmarshal(body, &answer); err != nil || status != 200 {
				return fmt.Errorf("%s: status %d: %s", k.Name, status, body)
			}
			text, _ := answer[field].(string)
			if text == "" {
				return fmt.Errorf("%s: no %s in %s", k.Name, field, body)
			}
			mu.Lock()
			defer mu.Unlock()
			found = append(found, text)
			return nil
		})
	if r.Errors > 0 {
		return nil, fmt.Errorf("%d of %d requests failed: %s", r.Errors, r.Requests, r.FirstError)
	}
	if len(found) == 0 {
		return nil, errors.New("nothing was issued")
	}
	return found, nil
}
