package http1

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// shortestIdle is for how long a connection must be idle before it is closed near the bound.
const shortestIdle = 100 * time.Millisecond

// places bounds the open connections, handed on or not. When nearly all places are taken, the
// connections that are idle longest are closed: a client with a request comes first.
type places struct {
	max    int // 0: no bound
	taken  atomic.Int64
	closed atomic.Uint64
	freed  chan struct{} // holds a value when a place was freed
	stop   chan struct{}
}

func newPlaces(max int) *places {
	return &places{max: max, freed: make(chan struct{}, 1), stop: make(chan struct{})}
}

// await returns when one more connection may be accepted. From seven eighths of the bound on, idle
// connections are closed.
func (p *places) await(s *Server) {
	if p.max <= 0 {
		return
	}
	for int(p.taken.Load()) >= p.max-p.max/8 {
		closed := s.closeIdle(max(p.max/32, 1))
		p.closed.Add(uint64(closed)) // #nosec G115 -- not negative
		if closed > 0 || int(p.taken.Load()) < p.max {
			return // the places of closed connections are free in a moment
		}
		select {
		case <-p.freed:
		case <-time.After(shortestIdle): // by then further connections may be idle long enough
		case <-p.stop:
			return
		}
	}
}

// take counts a connection, until the connection is closed.
func (p *places) take(c net.Conn) net.Conn {
	if p.max <= 0 {
		return c
	}
	p.taken.Add(1)
	return &placed{Conn: c, leave: sync.OnceFunc(func() {
		p.taken.Add(-1)
		select {
		case p.freed <- struct{}{}:
		default:
		}
	})}
}

// placed is a connection that is counted.
type placed struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *placed) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// CloseWrite ends what this side sends, where the connection can do that.
func (c *placed) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// followIdle notes which connections of net/http are idle, and since when.
func (s *Server) followIdle(h *http.Server) {
	before := h.ConnState
	h.ConnState = func(c net.Conn, state http.ConnState) {
		if before != nil {
			before(c, state)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(s.handedIdle, c); state == http.StateIdle {
			s.handedIdle[c] = time.Now().UnixNano()
		}
	}
}

// idler is a connection that waits for a request.
type idler struct {
	since int64 // Unix time in ns
	raw   net.Conn
	ours  *conn // nil: net/http has the connection
}

// closeIdle closes up to n idle connections, those that are idle longest first, and returns how
// many.
func (s *Server) closeIdle(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle := s.idlers()
	slices.SortFunc(idle, func(a, b idler) int { return cmp.Compare(a.since, b.since) })
	idle = idle[:min(n, len(idle))]
	for _, i := range idle { // each is closed once
		if i.ours != nil {
			i.ours.idleSince.Store(0)
		} else {
			delete(s.handedIdle, i.raw)
		}
		_ = rawOf(i.raw).Close()
	}
	return len(idle)
}

// idlers lists the idle connections. One that is idle for less than shortestIdle is left out: its
// request may be on the way. It needs mu.
func (s *Server) idlers() (idle []idler) {
	latest := time.Now().Add(-shortestIdle).UnixNano()
	for c := range s.conns {
		if since := c.idleSince.Load(); since != 0 && since < latest && !c.given {
			idle = append(idle, idler{since, c.raw, c})
		}
	}
	for c, since := range s.handedIdle {
		if since < latest {
			idle = append(idle, idler{since, c, nil})
		}
	}
	return idle
}

// rawOf returns the TCP connection below what net/http was given: closing TLS would wait for the
// peer.
func rawOf(c net.Conn) net.Conn {
	if r, ok := c.(*replayed); ok {
		c = r.Conn
	}
	if encrypted, ok := c.(*tls.Conn); ok {
		c = encrypted.NetConn()
	}
	return c
}
