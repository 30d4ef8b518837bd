package redisdb

import (
	"sync"
	"sync/atomic"
)

// drain counts the commands that are being executed, and refuses new ones after close.
type drain struct {
	inside  atomic.Int64
	closed  atomic.Bool
	drained chan struct{} // closed after close, when no command is left
	once    sync.Once
}

func (d *drain) init() { d.drained = make(chan struct{}) }

// enter returns an error after close; otherwise leave must follow.
func (d *drain) enter() error {
	d.inside.Add(1)
	if d.closed.Load() {
		d.leave()
		return errClosed
	}
	return nil
}

func (d *drain) leave() {
	if d.inside.Add(-1) == 0 && d.closed.Load() {
		d.once.Do(func() { close(d.drained) })
	}
}

// close refuses new commands and waits until all others have ended. It returns false if it was
// called before.
func (d *drain) close() bool {
	d.inside.Add(1)
	defer func() { <-d.drained }()
	defer d.leave()
	return d.closed.CompareAndSwap(false, true)
}
