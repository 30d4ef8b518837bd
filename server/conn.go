package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// Quiet returns a listener whose connections spare net/http system calls and timers that are of no use here: about a
// tenth of what a short request costs.
//
//   - While a handler runs, net/http reads one byte ahead, to cancel the request's context when the client hangs up. Nothing here ends
//     for that (see exchange), so this read comes back empty at once.
//   - net/http moves the read deadline four times a request and the write deadline once. A later deadline is only remembered: when
//     the earlier one that is armed passes, the later one is armed and the call goes on.
//
// On TLS the read ahead is of the layer above, and stays.
func Quiet(l net.Listener) net.Listener { return quietListener{l} }

type quietListener struct{ net.Listener }

// Accept implements net.Listener.
func (l quietListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &quietConn{Conn: c}, nil
}

// quietConn is one such connection. As with any, one goroutine reads and one writes at a time; deadlines are set by any.
type quietConn struct {
	net.Conn
	ahead       bool // the last read was of one byte, and was not done
	read, write deadline
}

// Read implements net.Conn. The first read of a single byte in a row comes back empty without an error, which io.Reader allows: a reader
// that means it asks again.
func (c *quietConn) Read(p []byte) (int, error) {
	if len(p) == 1 && !c.ahead {
		c.ahead = true
		return 0, nil
	}
	c.ahead = false
	for {
		n, err := c.Conn.Read(p)
		if n > 0 || !c.read.extend(err, c.Conn.SetReadDeadline) {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (c *quietConn) Write(p []byte) (written int, err error) {
	for {
		n, err := c.Conn.Write(p[written:])
		written += n
		if written == len(p) || !c.write.extend(err, c.Conn.SetWriteDeadline) {
			return written, err
		}
	}
}

// SetReadDeadline implements net.Conn.
func (c *quietConn) SetReadDeadline(t time.Time) error { return c.read.set(t, c.Conn.SetReadDeadline) }

// SetWriteDeadline implements net.Conn.
func (c *quietConn) SetWriteDeadline(t time.Time) error {
	return c.write.set(t, c.Conn.SetWriteDeadline)
}

// SetDeadline implements net.Conn.
func (c *quietConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// deadline is what was asked for, and the earlier or equal one that the connection has. Zero: none.
type deadline struct {
	mu            sync.Mutex
	wanted, armed time.Time
}

// set remembers a deadline, and arms it if it comes before the one that is armed.
func (d *deadline) set(t time.Time, arm func(time.Time) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = t
	if t.IsZero() || !d.armed.IsZero() && !t.Before(d.armed) {
		return nil
	}
	d.armed = t
	return arm(t)
}

// extend says whether a call that failed may go on: it ran into a deadline that is no longer wanted, and another is armed.
func (d *deadline) extend(err error, arm func(time.Time) error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.wanted.IsZero() && !time.Now().Before(d.wanted) {
		return false
	}
	d.armed = d.wanted
	return arm(d.wanted) == nil
}
