package node

import (
	"context"
	"errors"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
)

// unseenWatch warns of scopes whose tokens no client can introspect: none of config.toml, and none
// of the registry. It looks once for each configuration, at unseenMost registered clients at most:
// behind them there may be another.
type unseenWatch struct {
	resources *resources
	current   *current
}

const (
	unseenEvery = 5 * time.Second // how often another configuration is looked for
	unseenMost  = 20_000
)

var errEnough = errors.New("enough was looked at")

func (w *unseenWatch) run(ctx context.Context) {
	tick := time.NewTicker(unseenEvery)
	defer tick.Stop()
	var looked *instance
	for {
		if in := w.current.now.Load(); in != looked {
			left, err := unseen(ctx, clients.NewRedis(w.resources.stores.db), in.cfg.Unseen())
			if err == nil { // a Redis that is away is logged elsewhere
				looked = in
			}
			for _, s := range left {
				w.resources.log.Warn("no client can introspect the tokens of a scope",
					"cure", `give a resource server introspect = "any", or "audience" with this resource`, "scope", s.Name, "resource", s.Resource)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// unseen returns the scopes that no registered client sees either.
func unseen(ctx context.Context, d *clients.Redis, left []config.Unseen) ([]config.Unseen, error) {
	if len(left) == 0 {
		return nil, nil
	}
	visited := 0
	err := d.All(ctx, func(s *clients.Stored) error {
		kept := left[:0]
		for _, u := range left {
			if !clients.Sees(s.Introspect, s.Resource, u.Resource) {
				kept = append(kept, u)
			}
		}
		if left, visited = kept, visited+1; len(left) == 0 || visited == unseenMost {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return left, nil
}
