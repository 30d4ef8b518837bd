package faults_test

import (
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// proxy stands between the server and Redis, or another server, and can be told to misbehave.
type proxy struct {
	Addr string

	to      string       // host:port, or the path of a socket
	refuse  atomic.Bool  // new connections are closed at once
	swallow atomic.Bool  // answers do not arrive; their connections stay
	halve   atomic.Int32 // so many next answers arrive by half, and their connection ends
	most    atomic.Int64 // delay of each answer, 1 ms to this, in nanoseconds; 0: none
	sent    lastWords    // what clients sent of late, when it is asked for
	got     lastWords    // what they got

	mu    sync.Mutex
	conns map[net.Conn]net.Conn
}

// lastWords keeps a part of what was written, when it is asked to.
type lastWords struct {
	mu sync.Mutex
	on bool
	b  strings.Builder
}

func (w *lastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.on && w.b.Len() < 1<<20 {
		w.b.Write(p)
	}
	return len(p), nil
}

// Reset begins anew.
func (w *lastWords) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = true
	w.b.Reset()
}

func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{Addr: l.Addr().String(), to: to, conns: map[net.Conn]net.Conn{}}
	t.Cleanup(func() { _ = l.Close(); p.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	if p.refuse.Load() {
		return
	}
	network := "tcp"
	if strings.HasPrefix(p.to, "/") {
		network = "unix"
	}
	s, err := net.Dial(network, p.to)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.conns[c] = s
	p.mu.Unlock()
	go func() { _, _ = io.Copy(s, io.TeeReader(c, &p.sent)); _ = s.Close() }()
	p.answer(c, s)
	_ = s.Close()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// answer carries answers back until the connection ends.
func (p *proxy) answer(c, s net.Conn) {
	for buf := make([]byte, 1<<16); ; {
		n, err := s.Read(buf)
		if err != nil {
			return
		}
		_, _ = p.got.Write(buf[:n])
		if most := p.most.Load(); most > 0 {
			time.Sleep(time.Millisecond + time.Duration(rand.Int64N(most)))
		}
		if p.halve.Load() > 0 && p.halve.Add(-1) >= 0 {
			_, _ = c.Write(buf[:n/2])
			return
		}
		if p.swallow.Load() {
			continue
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c, s := range p.conns {
		_, _ = c.Close(), s.Close()
	}
}
