package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"time"
)

const (
	bufferSize = 4 << 10         // of a connection: the longest plain request
	bodyWait   = time.Second     // how long a body may take that did not come with its head
	slack      = 5 * time.Second // how much later than asked a deadline may be: it is not moved at each request
)

// conn is a connection. What requests need is here once, and used again by each: nobody may keep a request or its header
// beyond the handler, but for the texts.
type conn struct {
	srv    *Server
	net    net.Conn
	cancel context.CancelFunc
	given  bool // it is handed on; srv.mu guards it

	buf  []byte
	have int // bytes of buf that were read and not consumed

	now             time.Time // of the last answer; at the begin so long ago that silent is left of idle
	readBy, writeBy time.Time // the deadlines that are armed

	carrier carrier      // the context of all requests of the connection
	proto   http.Request // what they share
	request http.Request
	url     url.URL
	plain   plain
	body    Body
	answer  response
}

func newConn(s *Server, nc net.Conn) *conn {
	ctx := context.WithValue(context.WithValue(context.Background(), http.ServerContextKey, s.http), http.LocalAddrContextKey, nc.LocalAddr())
	ctx, cancel := context.WithCancel(ctx)
	c := &conn{srv: s, net: nc, cancel: cancel, buf: make([]byte, bufferSize), now: time.Now().Add(s.silent - s.idle)}
	shared := http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: nc.RemoteAddr().String()}
	c.carrier.Context = ctx
	c.proto = *shared.WithContext(&c.carrier)
	c.plain.header = make(http.Header, maxFields/2)
	c.answer.header = make(http.Header, maxFields/2)
	return c
}

// serve answers requests until the connection ends or is handed on.
func (c *conn) serve() {
	ours := true
	defer func() {
		c.cancel()
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // the very value
			c.srv.logf("http1: panic serving %v: %v\n%s", c.net.RemoteAddr(), p, debug.Stack())
		}
		if ours {
			_ = c.net.Close()
		}
		c.srv.remove(c)
	}()
	for {
		if c.have == 0 && !c.await() {
			return
		}
		if c.skipLine() {
			continue
		}
		text := string(c.buf[:c.have])
		clear(c.plain.header)
		if !c.plain.parse(text) || c.plain.head+c.plain.length > bufferSize {
			break
		}
		whole := c.plain.head + c.plain.length
		if c.have < whole {
			if !c.rest(whole) {
				break
			}
			text = text[:c.plain.head] + string(c.buf[c.plain.head:whole])
		}
		if !c.handle(text[c.plain.head:whole]) {
			return
		}
		c.have = copy(c.buf, c.buf[whole:c.have])
	}
	ours = false
	c.srv.leave(c)
	c.srv.others.give(c.net, slices.Clone(c.buf[:c.have]))
}

// skipLine drops an empty line behind a POST, which some clients send with its body; net/http does so too (RFC 9112 §2.2).
func (c *conn) skipLine() bool {
	if c.have < 2 || c.buf[0] != '\r' || c.buf[1] != '\n' || c.plain.method != http.MethodPost {
		return false
	}
	c.have = copy(c.buf, c.buf[2:c.have])
	return true
}

// await waits for the begin of a request. It is false when the connection is over.
func (c *conn) await() bool {
	until := c.now.Add(c.srv.idle)
	if c.readBy.Before(until) {
		c.armRead(until.Add(slack))
	}
	for {
		n, err := c.net.Read(c.buf)
		if n > 0 {
			c.have = n
			return true
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		if c.srv.stopping.Load() && time.Since(c.srv.stopped) >= lingering || !time.Now().Before(until) {
			return false
		}
		c.armRead(until)
	}
}

// armRead sets the read deadline; while the server stops, to its end at the latest.
func (c *conn) armRead(t time.Time) {
	c.readBy = t
	_ = c.net.SetReadDeadline(t)
	if c.srv.stopping.Load() { // after: so that stop comes before or sees the deadline set
		_ = c.net.SetReadDeadline(c.srv.stopped.Add(lingering))
	}
}

// rest reads on until a request is whole. It is false when that takes too long, or fails: net/http will see why.
func (c *conn) rest(whole int) bool {
	c.readBy = time.Now().Add(bodyWait)
	_ = c.net.SetReadDeadline(c.readBy)
	for c.have < whole {
		n, err := c.net.Read(c.buf[c.have:])
		c.have += n
		if err != nil && c.have < whole {
			return false
		}
	}
	return true
}

// handle lets the handler answer the request that was parsed, and says whether the connection goes on.
func (c *conn) handle(body string) bool {
	p := &c.plain
	c.request = c.proto
	c.url = url.URL{Path: p.path}
	r := &c.request
	r.Method, r.URL, r.RequestURI, r.Host, r.Header = p.method, &c.url, p.path, p.host, p.header
	r.Body, r.ContentLength = http.NoBody, int64(p.length)
	if p.length > 0 {
		c.body = Body{text: body}
		r.Body = &c.body
	}
	a := &c.answer
	a.begin(&c.srv.spare)
	defer a.end(&c.srv.spare)
	defer func() { c.carrier.load = nil }()
	c.srv.http.Handler.ServeHTTP(a, r)
	if c.srv.stopping.Load() {
		a.close = true // so that nobody sends the next request into a connection that ends
	}
	c.now = time.Now()
	out, keep := a.finish(c.srv.dateOf(c.now))
	if until := c.now.Add(c.srv.write); c.writeBy.Before(until) {
		c.writeBy = until.Add(slack)
		_ = c.net.SetWriteDeadline(c.writeBy)
	}
	if _, err := c.net.Write(out); err != nil {
		return false
	}
	if !keep {
		c.part()
	}
	return keep
}

// part ends a connection after its last answer so that the client can read it: what it still sends is read for a moment, because a
// close with bytes unread would reset the connection (RFC 9112 §9.6).
func (c *conn) part() {
	if half, ok := c.net.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	} // a listener that counts its connections may hide it: then the client ends it, as it was told
	_ = c.net.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(c.net, 256<<10), c.buf)
}

// carrier is a context that holds one thing for the request under way, for the goroutine of its handler alone.
type carrier struct {
	context.Context
	load any
}

// Carry hangs load on the context of a plain request until it is answered, without the copy of the request that WithContext takes. It
// is false for any other context, and for a second load. A load of nil takes away what hangs there.
func Carry(ctx context.Context, load any) bool {
	c, ok := ctx.(*carrier)
	if !ok || c.load != nil && load != nil {
		return false
	}
	c.load = load
	return true
}

// Carried returns what Carry hung on a context; nil: nothing.
func Carried(ctx context.Context) any {
	if c, ok := ctx.(*carrier); ok {
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
