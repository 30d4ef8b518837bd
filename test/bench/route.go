package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/test/bench/load"
)

const (
	routeTokens = 200         // the working set of an API
	lease       = time.Second // [feed] lease, by default
)

// prepareRoute issues the tokens, waits until the route is answered as it will be, and sees that it
// is protected as it claims.
func prepareRoute(ctx context.Context, f *fixture) (load.Plan, error) {
	live, err := f.fill(ctx, f.Issue(), "access_token", nothing(routeTokens+1), time.Minute)
	if err != nil {
		return load.Plan{}, err
	}
	doomed, live := live[0], live[1:]
	if err := f.awaitRoute(ctx, doomed); err != nil {
		return load.Plan{}, err
	}
	return load.Of(load.Cycle, f.Check(), live...), f.protected(doomed)
}

// awaitRoute asks with a token, which begins polls of the feed, until checks are answered from
// memory.
func (f *fixture) awaitRoute(ctx context.Context, token string) error {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, _, err1 := load.Ask(f.Check(), token)
		status, _, err2 := load.Ask(f.Ready(), "none")
		switch {
		case err1 == nil && err2 == nil && status == http.StatusOK:
			return nil
		case time.Now().After(end) || ctx.Err() != nil:
			return errors.Join(errors.New("the API's follower does not get fresh"), err1, err2, ctx.Err())
		}
	}
}

// protected asks with a live token, with a text that nobody minted, and with the token again when
// the lease after its revocation is over.
func (f *fixture) protected(token string) error {
	expect := func(what, token string, passes bool) error {
		want := http.StatusUnauthorized
		if passes {
			want = http.StatusOK
		}
		status, body, err := load.Ask(f.Check(), token)
		if err == nil && status != want {
			err = fmt.Errorf("%s is answered %d, not %d: %s", what, status, want, body)
		}
		return err
	}
	if err := errors.Join(expect("a live token", token, true), expect("garbage", string(noise(60)), f.Open())); err != nil {
		return err
	}
	if status, body, err := load.Ask(f.Revoke(), token); err != nil || status != http.StatusOK {
		return fmt.Errorf("revocation is answered %d: %s: %w", status, body, err)
	}
	time.Sleep(lease)
	return expect("a revoked token", token, f.Blind())
}
