package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"
)

const (
	bufferSize = 4 << 10         // of a connection: the longest plain request
	bodyWait   = time.Second     // how long a body may take that did not come with its head
	slack      = 5 * time.Second // how much later than asked a deadline may be: it is not moved at each request
	mostBlank  = 4               // line ends before a request behind a POST that are passed over, as net/http does
)

// conn is a connection: what its requests share.
type conn struct {
	srv    *Server
	net    net.Conn // what requests are read from: with TLS, its inside; others need srv.mu
	raw    net.Conn
	values context.Context // of all requests
	shared http.Request    // what all requests have alike

	began     int64        // in nanoseconds since 1970
	idleSince atomic.Int64 // likewise; 0: it is at work
	given     bool         // it is handed on; srv.mu guards it

	buf      []byte
	have     int // bytes of buf that were read and not consumed
	ahead    byte
	hasAhead bool // ahead comes behind them

	answered bool // a request was, so that this is not the first
	posted   bool // the last request was a POST
	blank    int  // line ends that were passed over since
	watcher  *watcher

	now             time.Time // of the last answer; at the begin so long ago that silent is left of idle
	readBy, writeBy time.Time // the deadlines that are armed
}

func newConn(s *Server, nc net.Conn) *conn {
	values := context.WithValue(context.WithValue(context.Background(), http.ServerContextKey, s.http), http.LocalAddrContextKey, nc.LocalAddr())
	c := &conn{srv: s, net: nc, raw: nc, values: values, buf: make([]byte, bufferSize), began: time.Now().UnixNano(), now: time.Now().Add(s.silent - s.idle)}
	c.shared = http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: nc.RemoteAddr().String()}
	return c
}

// serve answers requests until the connection ends or is handed on.
func (c *conn) serve() {
	ours := true
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // the very value
			c.srv.failed("panic while serving a request", "peer", c.shared.RemoteAddr, "panic", p, "stack", string(debug.Stack()))
		}
		if ours {
			_ = c.net.Close()
		}
		c.srv.remove(c)
	}()
	if c.srv.tls != nil {
		if !c.handshake() {
			return
		}
		if c.shared.TLS.NegotiatedProtocol == "h2" {
			ours = false
			c.handOn(byHTTP2)
			return
		}
	}
	why := c.requests()
	if why == plainForm {
		return
	}
	ours = false
	c.handOn(why)
}

// requests answers plain requests until the connection is over, or returns why net/http must have it.
func (c *conn) requests() handOnReason {
	for {
		if c.have == 0 && !c.await() {
			return plainForm
		}
		if !c.begun() {
			return plainForm
		}
		if c.skipBlank() {
			continue
		}
		text := string(c.buf[:c.have])
		q := &request{}
		if why := q.plain.parse(text); why != plainForm {
			return why
		}
		whole := q.plain.head + q.plain.length
		if whole > bufferSize {
			return byLength
		}
		if c.have < whole {
			if !c.rest(whole) {
				return byLateBody
			}
			text = text[:q.plain.head] + string(c.buf[q.plain.head:whole])
		}
		keep := c.handle(q, text[q.plain.head:whole])
		if !keep {
			return plainForm
		}
		c.have = copy(c.buf, c.buf[whole:c.have])
		if c.hasAhead {
			c.buf[c.have] = c.ahead
			c.have, c.hasAhead = c.have+1, false
		}
	}
}

// begun waits for four bytes of a request that is not the first, as net/http does: a client that ends with less has said nothing.
func (c *conn) begun() bool {
	if !c.answered || c.have >= mostBlank {
		return true
	}
	if until := time.Now().Add(c.srv.idle); c.readBy.Before(until) {
		c.armRead(until.Add(slack)) // what is armed may be the end of the last body
	}
	c.idleSince.Store(time.Now().UnixNano()) // nothing was asked yet
	defer c.idleSince.Store(0)
	for c.have < mostBlank {
		n, err := c.net.Read(c.buf[c.have:])
		c.have += n
		if err != nil {
			return false
		}
	}
	return true
}

// handOn gives the connection to net/http, with all that was read of it.
func (c *conn) handOn(why handOnReason) {
	c.srv.handedOn[why].Add(1)
	c.srv.leave(c)
	if why == byHTTP2 {
		c.srv.others.give(c.net, nil) // as it is: net/http looks for TLS
		return
	}
	c.srv.others.give(c.net, slices.Clone(c.buf[:c.have]))
}

// skipBlank drops line ends behind a POST, which some clients send with its body, as net/http does (RFC 9112 §2.2).
func (c *conn) skipBlank() bool {
	n := 0
	for n < c.have && c.posted && c.blank < mostBlank && (c.buf[n] == '\r' || c.buf[n] == '\n') {
		n++
		c.blank++
	}
	c.have = copy(c.buf, c.buf[n:c.have])
	return n > 0
}

// await waits for the begin of a request. It is false when the connection is over.
func (c *conn) await() bool {
	until := c.now.Add(c.srv.idle)
	if c.readBy.Before(until) {
		c.armRead(until.Add(slack))
	}
	c.idleSince.Store(max(c.now.UnixNano(), c.began))
	defer c.idleSince.Store(0)
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

// handle lets the handler answer a request, and says whether the connection goes on.
func (c *conn) handle(q *request, body string) bool {
	c.srv.served.Add(1)
	c.answered, c.posted, c.blank = true, q.plain.method == http.MethodPost, 0
	a := &q.answer
	a.begin(q.plain.method, q.plain.last)
	r := q.httpRequest(c, body)
	defer c.unwatch()
	defer q.context.end()
	c.srv.http.Handler.ServeHTTP(a, r)
	q.context.end()
	c.unwatch()
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

// handshake begins TLS. It is false when there is no connection afterwards.
func (c *conn) handshake() bool {
	inside := tls.Server(c.raw, c.srv.tls)
	_ = c.raw.SetDeadline(time.Now().Add(c.srv.silent))
	ctx, cancel := context.WithTimeout(context.Background(), c.srv.silent)
	defer cancel()
	err := inside.HandshakeContext(ctx)
	if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok && plain.Conn != nil && looksLikeHTTP(plain.RecordHeader) {
		_, _ = io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
	}
	if err != nil {
		c.srv.logf("http1: TLS handshake error from %s: %v", c.shared.RemoteAddr, err)
		return false
	}
	_ = c.raw.SetDeadline(time.Time{})
	state := inside.ConnectionState()
	c.srv.mu.Lock() // a stop looks at the connection
	c.net, c.shared.TLS = inside, &state
	c.srv.mu.Unlock()
	return true
}

// looksLikeHTTP says whether a client spoke HTTP where TLS was expected.
func looksLikeHTTP(begin [5]byte) bool {
	switch string(begin[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}
