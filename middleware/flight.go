package middleware

import (
	"context"
	"sync"
)

// flights lets one of many who want the same answer at the same time work for it. There are at
// most as many as requests under way.
type flights[V any] struct {
	mu       sync.Mutex
	underway map[cacheKey]*flight[V]
}

type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
	valid bool // the one who worked did not go away and did not panic
}

// do returns what work returns, called here or by another who asked for k just now.
func (g *flights[V]) do(ctx context.Context, k cacheKey, work func() (V, error)) (V, error) {
	for {
		f, mine := g.join(k)
		if mine {
			return g.run(ctx, k, f, work)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
		if f.valid {
			return f.value, f.err
		}
	}
}

// join returns the flight for k, and whether the caller is to run it.
func (g *flights[V]) join(k cacheKey) (f *flight[V], mine bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f = g.underway[k]; f != nil {
		return f, false
	}
	if g.underway == nil {
		g.underway = map[cacheKey]*flight[V]{}
	}
	f = &flight[V]{done: make(chan struct{})}
	g.underway[k] = f
	return f, true
}

func (g *flights[V]) run(ctx context.Context, k cacheKey, f *flight[V], work func() (V, error)) (V, error) {
	defer func() {
		g.mu.Lock()
		delete(g.underway, k)
		g.mu.Unlock()
		close(f.done)
	}()
	f.value, f.err = work()
	f.valid = ctx.Err() == nil
	return f.value, f.err
}
