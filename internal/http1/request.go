package http1

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

// request is all that belongs to one request. It is made anew for each: a goroutine that outlives its handler keeps its own request,
// and never sees the next.
type request struct {
	plain   plain
	url     url.URL
	context requestContext
	body    Body
	answer  response
}

// httpRequest is the request as handlers see it.
func (q *request) httpRequest(c *conn, body string) *http.Request {
	q.context.Context, q.context.conn = c.values, c
	q.url.Path = q.plain.path
	r := c.shared.WithContext(&q.context)
	r.Method, r.URL, r.RequestURI, r.Host, r.Header = q.plain.method, &q.url, q.plain.path, q.plain.host, q.plain.header
	r.Body, r.ContentLength, r.Close = http.NoBody, int64(len(body)), q.plain.last
	if len(body) > 0 {
		q.body.text = body
		r.Body = &q.body
	}
	return r
}

// requestContext ends when the request was answered, and when the client hangs up before that. Only who asks for its
// end makes anybody watch the connection.
type requestContext struct {
	context.Context // the connection's values
	conn            *conn
	load            any // see Carry

	mu    sync.Mutex
	done  chan struct{} // nil: nobody asked
	ended bool
}

// Done implements context.Context.
func (c *requestContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.ended {
			close(c.done)
		} else {
			c.conn.watch(c)
		}
	}
	return c.done
}

// Err implements context.Context.
func (c *requestContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return context.Canceled
	}
	return nil
}

func (c *requestContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended && c.done != nil {
		close(c.done)
	}
	c.ended = true
}

// watcher reads ahead while a handler is at work, to see that the client hangs up.
type watcher struct {
	over chan struct{} // closed when it has ended
	next [1]byte       // of the request behind this one
	n    int
}

// watch begins to read ahead for a context. Its mutex is held: so it is before the end of the context.
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

// unwatch ends the watcher, and keeps what it read.
func (c *conn) unwatch() {
	w := c.watcher
	if w == nil {
		return
	}
	c.watcher, c.readBy = nil, time.Time{}
	_ = c.net.SetReadDeadline(time.Unix(1, 0)) // long ago: the read returns
	<-w.over
	c.ahead, c.hasAhead = w.next[0], w.n == 1
	c.armRead(time.Now().Add(c.srv.idle))
}

// Carry hangs load on the context of a plain request until it is answered, without the copy of the request that WithContext takes. It
// is false for any other context, and for a second load. A load of nil takes away what hangs there. It is for the goroutine of the handler alone.
func Carry(ctx context.Context, load any) bool {
	c, ok := ctx.(*requestContext)
	if !ok || c.load != nil && load != nil {
		return false
	}
	c.load = load
	return true
}

// Carried returns what Carry hung on a context; nil: nothing.
func Carried(ctx context.Context) any {
	if c, ok := ctx.(*requestContext); ok {
		return c.load
	}
	return nil
}

// Body is a request's body, which has come whole.
type Body struct {
	text string
	at   int
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if b.at == len(b.text) {
		return 0, io.EOF
	}
	n := copy(p, b.text[b.at:])
	b.at += n
	return n, nil
}

// Close implements io.Closer.
func (b *Body) Close() error { return nil }

// Text returns what was not read yet, without a copy.
func (b *Body) Text() string {
	rest := b.text[b.at:]
	b.at = len(b.text)
	return rest
}
