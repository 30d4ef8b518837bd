package http1

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"sync"
)

// request is all that belongs to one request. Each request has a new one: a goroutine that outlives
// its handler keeps its own request and never sees the next.
type request struct {
	plain    plain
	shown    http.Request // to the handler
	url      url.URL
	context  requestContext
	body     Body
	response response
}

// httpRequest returns the request as handlers see it.
func (q *request) httpRequest(c *conn, body string) *http.Request {
	q.context.Context, q.context.conn = c.values, c
	q.url.Path, q.url.RawQuery = q.plain.path, q.plain.query
	q.shown = *c.shared.WithContext(&q.context)
	r := &q.shown
	r.Method, r.URL, r.RequestURI = q.plain.method, &q.url, q.plain.target
	r.Host, r.Header, r.Close = q.plain.host, q.plain.header, q.plain.last
	r.Body, r.ContentLength = http.NoBody, int64(len(body))
	if q.plain.chunked { // as net/http shows chunks
		r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
	}
	if len(body) > 0 || q.plain.chunked {
		q.body.text = body
		r.Body = &q.body
	}
	return r
}

// requestContext ends when the handler returns, and when the client hangs up before that. The
// connection is watched only for a handler that asks for Done.
type requestContext struct {
	context.Context // the values of the connection
	conn            *conn
	load            any // see Carry

	mu    sync.Mutex
	done  chan struct{} // nil: nobody asked for Done
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

// Carry attaches load to the context of a plain request until the request is answered, without the
// copy of the request that WithContext makes. Carry is false for any other context, and for a
// second load. A nil load detaches the first. Only the goroutine of the handler may call Carry and
// Carried.
func Carry(ctx context.Context, load any) bool {
	c, ok := ctx.(*requestContext)
	if !ok || c.load != nil && load != nil {
		return false
	}
	c.load = load
	return true
}

// Carried returns what Carry attached to a context, or nil.
func Carried(ctx context.Context) any {
	if c, ok := ctx.(*requestContext); ok {
		return c.load
	}
	return nil
}

// Body is the body of a plain request. All of it has arrived.
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
