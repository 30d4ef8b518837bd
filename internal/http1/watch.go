package http1

import (
	"errors"
	"os"
	"time"
)

// watcher reads one byte ahead while a handler runs, to notice that the client hangs up.
type watcher struct {
	over chan struct{} // closed when the watcher has ended
	next [1]byte       // of the next request
	n    int
}

// watch begins to read ahead for a context, whose mutex is held: so the watcher is known before
// the context ends.
func (c *conn) watch(ctx *requestContext) {
	w := &watcher{over: make(chan struct{})}
	c.watcher = w
	_ = c.net.SetReadDeadline(time.Time{})
	go func() {
		defer close(w.over)
		var err error
		w.n, err = c.net.Read(w.next[:])
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			ctx.end()
		}
	}()
}

// unwatch ends the watcher, and keeps what the watcher read.
func (c *conn) unwatch() {
	w := c.watcher
	if w == nil {
		return
	}
	c.watcher, c.readBy = nil, time.Time{}
	_ = c.net.SetReadDeadline(time.Unix(1, 0)) // in the past: the read returns
	<-w.over
	c.ahead, c.hasAhead = w.next[0], w.n == 1
	c.armRead(time.Now().Add(c.srv.idle))
}
