package faults_test

import (
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// quietLog is for proxies whose servers are killed on purpose.
var quietLog = log.New(io.Discard, "", 0)

// httptestServer serves h for as long as the test lasts, and returns its URL.
func httptestServer(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	s.Config.ErrorLog = quietLog
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// liveFront leads connections to a server whose address may change, and can hold up what is sent.
// Nothing is lost: what was held up arrives later, as after a route that came back.
type liveFront struct {
	Addr string
	to   func() string
	hole atomic.Bool  // nothing arrives, in either direction, until it is false
	most atomic.Int64 // what the server says takes half a second to this, in nanoseconds; 0: no time

	gone chan struct{}
	mu   sync.Mutex
	all  map[net.Conn]bool
}

func newLiveFront(t *testing.T, to func() string) *liveFront {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &liveFront{Addr: l.Addr().String(), to: to, gone: make(chan struct{}), all: map[net.Conn]bool{}}
	t.Cleanup(func() { close(f.gone); _ = l.Close(); f.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	return f
}

func (f *liveFront) serve(c net.Conn) {
	defer c.Close()
	if !f.pass() {
		return
	}
	s, err := net.Dial("tcp", f.to())
	if err != nil {
		return
	}
	defer s.Close()
	f.keep(true, c, s)
	defer f.keep(false, c, s)
	go func() { f.pump(s, c, nil); _ = s.Close() }()
	f.pump(c, s, &f.most)
}

func (f *liveFront) keep(on bool, list ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range list {
		if on {
			f.all[c] = true
		} else {
			delete(f.all, c)
		}
	}
}

// cut ends all connections.
func (f *liveFront) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.all {
		_ = c.Close()
	}
}

// pass waits while there is a hole, and says whether the test goes on.
func (f *liveFront) pass() bool {
	for f.hole.Load() {
		select {
		case <-f.gone:
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
	return true
}

func (f *liveFront) pump(to, from net.Conn, most *atomic.Int64) {
	for buf := make([]byte, 1<<16); ; {
		n, err := from.Read(buf)
		if err != nil {
			_ = to.Close()
			return
		}
		if most != nil && most.Load() > 0 {
			half := int64(500 * time.Millisecond)
			time.Sleep(time.Duration(half + rand.Int64N(max(most.Load()-half, 1))))
		}
		if !f.pass() {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			_ = from.Close()
			return
		}
	}
}
