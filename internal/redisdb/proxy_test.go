package redisdb_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// proxy stands between a client and a server and can be told to misbehave.
type proxy struct {
	Addr string

	to          atomic.Value // string: where new connections lead
	loseAnswers atomic.Int32 // so many next answers are lost with their connections
	lost        atomic.Value // func(): runs when an answer was lost
	delay       atomic.Int64 // of each answer, nanoseconds
	conns       sync.Map
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{Addr: l.Addr().String()}
	p.to.Store(to)
	t.Cleanup(func() { _ = l.Close(); p.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", p.to.Load().(string))
			if err != nil {
				_ = c.Close()
				continue
			}
			p.conns.Store(c, s)
			go func() { _, _ = io.Copy(s, c); _ = s.Close() }()
			go p.answer(c, s)
		}
	}()
	return p
}

func (p *proxy) answer(c, s net.Conn) {
	defer func() { _ = c.Close(); _ = s.Close(); p.conns.Delete(c) }()
	for buf := make([]byte, 1<<16); ; {
		n, err := s.Read(buf)
		if err != nil {
			return
		}
		if p.loseAnswers.Load() > 0 && p.loseAnswers.Add(-1) >= 0 {
			if f, _ := p.lost.Load().(func()); f != nil {
				f()
			}
			return
		}
		if d := p.delay.Load(); d > 0 {
			time.Sleep(time.Duration(d))
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.conns.Range(func(c, s any) bool {
		_ = c.(net.Conn).Close()
		_ = s.(net.Conn).Close()
		return true
	})
}
