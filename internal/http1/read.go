package http1

import (
	"errors"
	"os"
	"time"
)

// await waits for the beginning of a request. It is false when the connection has ended.
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
		if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(until) || c.srv.lingered() {
			return false
		}
		c.armRead(until)
	}
}

// begun waits for four bytes of a request that is not the first, as net/http does: a client that
// ends with fewer bytes has asked for nothing.
func (c *conn) begun() bool {
	if !c.answered || c.have >= maxBlank {
		return true
	}
	if until := time.Now().Add(c.srv.idle); c.readBy.Before(until) {
		c.armRead(until.Add(slack)) // the deadline may be that of the last body
	}
	c.idleSince.Store(time.Now().UnixNano()) // nothing was asked yet
	defer c.idleSince.Store(0)
	for c.have < maxBlank {
		if !c.readMore() {
			return false
		}
	}
	return true
}

// skipBlank drops line ends behind a POST, which some clients send with its body, as net/http does
// (RFC 9112 §2.2).
func (c *conn) skipBlank() bool {
	n := 0
	for n < c.have && c.posted && c.blank < maxBlank && (c.buf[n] == '\r' || c.buf[n] == '\n') {
		n++
		c.blank++
	}
	c.have = copy(c.buf, c.buf[n:c.have])
	return n > 0
}

// body returns the body of the request that text begins with, and where in the buffer the body
// ends. What did not arrive with the head is awaited for bodyWait.
func (c *conn) body(p *plain, text string) (body string, end int, why handOnReason) {
	body, size, why := p.body(text[p.head:])
	if why == byLateBody {
		c.readBy = time.Now().Add(bodyWait)
		_ = c.net.SetReadDeadline(c.readBy)
	}
	for why == byLateBody {
		if c.have == bufferSize {
			return "", 0, byLength
		}
		if !c.readMore() {
			return "", 0, byLateBody // net/http finds the same error
		}
		body, size, why = p.body(string(c.buf[p.head:c.have]))
	}
	return body, p.head + size, why
}

// readMore reads into the rest of the buffer. It is false when nothing came.
func (c *conn) readMore() bool {
	n, _ := c.net.Read(c.buf[c.have:])
	c.have += n
	return n > 0
}

// armRead sets the read deadline. While the server stops, the deadline is the end of the stop.
func (c *conn) armRead(t time.Time) {
	c.readBy = t
	_ = c.net.SetReadDeadline(t)
	if c.srv.stopping.Load() { // looked at last, or a stop in between would be lost
		_ = c.net.SetReadDeadline(c.srv.stopped.Add(lingering))
	}
}
