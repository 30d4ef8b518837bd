package redisdb

import (
	"sync"
	"sync/atomic"
)

// drain lets commands in until it is closed, and knows how many are inside.
type drain struct {
	inside  atomic.Int64
	closed  atomic.Bool
	drained chan struct{} // closed when the gate is closed and nobody is inside
	once    sync.Once
}

func (g *drain) init() { g.drained = make(chan struct{}) }

// enter returns an error after close; otherwise leave must follow.
func (g *drain) enter() error {
	g.inside.Add(1)
	if g.closed.Load() {
		g.leave()
		return errClosed
	}
	return nil
}

func (g *drain) leave() {
	if g.inside.Add(-1) == 0 && g.closed.Load() {
		g.once.Do(func() { close(g.drained) })
	}
}

// close lets nobody in any more and waits until all have left. It reports false if it was closed
// before.
func (g *drain) close() bool {
	g.inside.Add(1)
	defer func() { <-g.drained }()
	defer g.leave()
	return g.closed.CompareAndSwap(false, true)
}
