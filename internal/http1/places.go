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

// places bounds the connections that are open, handed on or not. When nearly all are taken, those that have been idle longest are
// closed: a client that has something to ask comes before many that have not.
type places struct {
	most   int // 0: no bound
	taken  atomic.Int64
	closed atomic.Uint64
	freed  chan struct{} // holds one when somebody left
	stop   chan struct{}
}

func newPlaces(most int) *places {
	return &places{most: most, freed: make(chan struct{}, 1), stop: make(chan struct{})}
}

// await returns when there is a place for one more connection. Places are made from seven of eight on.
func (p *places) await(s *Server) {
	if p.most <= 0 {
		return
	}
	for int(p.taken.Load()) >= p.most-p.most/8 {
		made := s.closeIdle(max(p.most/32, 1))
		p.closed.Add(uint64(made)) // #nosec G115 -- not negative
		if made > 0 || int(p.taken.Load()) < p.most {
			return // what was closed leaves in a moment
		}
		select {
		case <-p.freed:
		case <-time.After(shortestIdle): // some may be idle long enough by then
		case <-p.stop:
			return
		}
	}
}

// take counts a connection in; closing it counts it out.
func (p *places) take(c net.Conn) net.Conn {
	if p.most <= 0 {
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

// placed is a connection that has a place.
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

// followIdle notes since when connections that net/http has wait for a request.
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
	since int64
	raw   net.Conn
	ours  *conn // nil: net/http has it
}

// closeIdle closes up to n connections that wait for a request, those that have waited longest first, and returns how many. One that waits
// for less than a moment is left: its request may be on the way.
func (s *Server) closeIdle(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	moment := time.Now().Add(-shortestIdle).UnixNano()
	var idle []idler
	for c := range s.conns {
		if at := c.idleSince.Load(); at != 0 && at < moment && !c.given {
			idle = append(idle, idler{at, c.raw, c})
		}
	}
	for c, at := range s.handedIdle {
		if at < moment {
			idle = append(idle, idler{at, c, nil})
		}
	}
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

// rawOf is the connection below what net/http was given: one of TLS would wait for its peer when it closes.
func rawOf(c net.Conn) net.Conn {
	if r, ok := c.(*replayed); ok {
		c = r.Conn
	}
	if inside, ok := c.(*tls.Conn); ok {
		c = inside.NetConn()
	}
	return c
}

// shortestIdle is how long a connection must be idle before it is closed to make place.
const shortestIdle = 100 * time.Millisecond
