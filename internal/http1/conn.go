package http1

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	bufferSize = 4 << 10         // of a connection: a plain request is no longer
	bodyWait   = time.Second     // for a body that did not arrive with its head
	slack      = 5 * time.Second // by which a deadline may be late: few requests move a deadline
	maxBlank   = 4               // line ends that net/http skips before a request behind a POST
)

// conn is a connection, and what its requests share.
type conn struct {
	srv    *Server
	net    net.Conn // where requests are read; with TLS the decrypted side. Others need srv.mu
	raw    net.Conn // the TCP connection
	values context.Context
	shared http.Request // what all requests of the connection have alike

	began     int64        // Unix time in ns
	idleSince atomic.Int64 // Unix time in ns; 0: a request is under way
	given     bool         // the connection is handed on; srv.mu guards given

	buf      []byte
	have     int    // bytes of buf that are read and not consumed
	out      []byte // the last answer, whose memory the next one uses
	ahead    byte   // what the watcher read of the next request
	hasAhead bool

	answered bool // a request was answered, so the next is not the first
	posted   bool // the last request was a POST
	blank    int  // line ends that were skipped since
	watcher  *watcher

	now             time.Time // of the last answer; a new connection has silent left until idle ends
	readBy, writeBy time.Time // the deadlines that are set
}

func newConn(s *Server, nc net.Conn) *conn {
	values := context.WithValue(context.Background(), http.ServerContextKey, s.http)
	now := time.Now()
	return &conn{srv: s, net: nc, raw: nc, buf: make([]byte, bufferSize),
		values: context.WithValue(values, http.LocalAddrContextKey, nc.LocalAddr()),
		shared: http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: nc.RemoteAddr().String()},
		began:  now.UnixNano(), now: now.Add(s.silent - s.idle)}
}

// serve answers requests until the connection ends or is handed on.
func (c *conn) serve() {
	handedOn := false
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // the very value
			c.srv.failed("panic while serving a request", "peer", c.shared.RemoteAddr, "panic", p,
				"stack", string(debug.Stack()))
		}
		if !handedOn {
			_ = c.net.Close()
		}
		c.srv.remove(c)
	}()
	if c.srv.tls != nil && !c.handshake() {
		return
	}
	why := c.requests()
	if why == notHandedOn {
		return
	}
	handedOn = true
	c.handOn(why)
}

// requests answers plain requests until the connection ends, or returns why net/http must read it.
func (c *conn) requests() handOnReason {
	if c.shared.TLS != nil && c.shared.TLS.NegotiatedProtocol == "h2" {
		return byHTTP2
	}
	for {
		if c.have == 0 && !c.await() || !c.begun() {
			return notHandedOn
		}
		if c.skipBlank() {
			continue
		}
		if goesOn, why := c.request(); !goesOn {
			return why
		}
	}
}

// request reads and answers one request, and says whether the connection goes on here.
func (c *conn) request() (goesOn bool, why handOnReason) {
	q := &request{}
	text := string(c.buf[:c.have])
	if why := q.plain.parse(text); why != notHandedOn {
		return false, why
	}
	body, end, why := c.body(&q.plain, text)
	if why != notHandedOn || !c.handle(q, body) {
		return false, why
	}
	c.consume(end)
	return true, notHandedOn
}

// consume drops what was answered from the buffer, and adds what the watcher read ahead.
func (c *conn) consume(n int) {
	c.have = copy(c.buf, c.buf[n:c.have])
	if c.hasAhead {
		c.buf[c.have] = c.ahead
		c.have, c.hasAhead = c.have+1, false
	}
}

// handOn gives the connection to net/http, with all that was read of the connection.
func (c *conn) handOn(why handOnReason) {
	c.srv.handedOn[why].Add(1)
	c.srv.leave(c)
	if why == byHTTP2 {
		c.srv.others.give(c.net, nil) // not wrapped: net/http looks for a *tls.Conn
		return
	}
	c.srv.others.give(c.net, append([]byte{}, c.buf[:c.have]...))
}

// handle lets the handler answer a request, and says whether the connection goes on.
func (c *conn) handle(q *request, body string) (goesOn bool) {
	c.srv.served.Add(1)
	c.answered, c.posted, c.blank = true, q.plain.method == http.MethodPost, 0
	q.response.begin(q.plain.method, q.plain.last)
	c.callHandler(q, q.httpRequest(c, body))
	if c.srv.stopping.Load() {
		q.response.close = true // a further request would be lost
	}
	c.now = time.Now()
	c.out, goesOn = q.response.finish(c.out[:0], c.srv.dateOf(c.now))
	if !c.write(c.out) {
		return false
	}
	if cap(c.out) > bufferSize { // of a long answer: the next is short
		c.out = nil
	}
	if !goesOn {
		c.part()
	}
	return goesOn
}

// callHandler runs the handler. Its context has ended and nobody reads ahead when callHandler ends.
func (c *conn) callHandler(q *request, r *http.Request) {
	defer c.unwatch()
	defer q.context.end()
	c.srv.http.Handler.ServeHTTP(&q.response, r)
}

// write sends an answer, and says whether that succeeded.
func (c *conn) write(answer []byte) bool {
	if until := c.now.Add(c.srv.write); c.writeBy.Before(until) {
		c.writeBy = until.Add(slack)
		_ = c.net.SetWriteDeadline(c.writeBy)
	}
	_, err := c.net.Write(answer)
	return err == nil
}

// part ends a connection so that the client can read the last answer: closing a connection with
// bytes unread would reset it, so what the client still sends is read for a moment (RFC 9112 §9.6).
func (c *conn) part() {
	half, ok := c.net.(interface{ CloseWrite() error })
	if ok && half.CloseWrite() != nil {
		return
	} // a listener may hide CloseWrite: then the client ends the connection
	_ = c.net.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(c.net, 256<<10), c.buf)
}
