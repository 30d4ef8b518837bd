package redistest

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// Slow is a way to a server on which every answer takes a while, as it does from another machine.
type Slow struct {
	Addr    string
	Answers atomic.Int64 // how many packets came back: about one for a command or a pipeline
}

// NewSlow begins to lead to a server. It ends with the test.
func NewSlow(t testing.TB, to string, delay time.Duration) *Slow {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Slow{Addr: l.Addr().String()}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c, to, delay)
		}
	}()
	return s
}

func (s *Slow) serve(c net.Conn, to string, delay time.Duration) {
	defer c.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, c); _ = server.Close() }()
	for buf := make([]byte, 1<<18); ; {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		s.Answers.Add(1)
		time.Sleep(delay)
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}
