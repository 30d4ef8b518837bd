package http1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// deadlines is a connection that remembers which read deadlines were set after its deadlines had
// been taken away.
type deadlines struct {
	silentConn
	free chan struct{} // closed when they were
	late []time.Time
}

func (c *deadlines) SetDeadline(time.Time) error { close(c.free); return nil }
func (c *deadlines) SetReadDeadline(d time.Time) error {
	select {
	case <-c.free:
		c.late = append(c.late, d)
	default:
	}
	return nil
}

func (s *Server) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func TestNetHTTPEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &http.Server{Handler: http.HandlerFunc(echo)}
	s := New(srv, Config{})
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	c, r := dial(t, l.Addr().String())
	send(t, c, post("sound", "p"))
	answered(t, r, "http1 1 sound")
	require.NoError(t, srv.Close())
	require.ErrorContains(t, <-ended, "cannot be handed on", "S-20 where connections can be handed on no more, the server ends")
	require.NoError(t, s.Close())
}

func TestStop(t *testing.T) {
	t.Run("S-60 idle connections end, requests under way are answered, and so is one that comes in that moment", func(t *testing.T) {
		inside, leave := make(chan struct{}), make(chan struct{})
		addr, s := front(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Pad") == "" {
				close(inside)
				<-leave
			}
			echo(w, r)
		})
		first, idle := dial(t, addr)
		send(t, first, post("first", "p"))
		answered(t, idle, "http1 1 first")
		busy, r := dial(t, addr)
		send(t, busy, post("last", ""))
		<-inside
		stopped := make(chan error, 1)
		go func() { stopped <- s.Shutdown(context.Background()) }()
		for !s.stopping.Load() {
			time.Sleep(time.Millisecond)
		}
		send(t, first, post("late", "p"))
		answered(t, idle, "http1 1 late")
		_, err := idle.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		close(leave)
		answered(t, r, "http1 0 last")
		require.NoError(t, <-stopped)
		_, err = net.Dial("tcp", addr)
		require.Error(t, err)
	})
	t.Run("S-60 a connection that net/http has is waited for too", func(t *testing.T) {
		inside, leave := make(chan struct{}), make(chan struct{})
		addr, s := front(t, func(w http.ResponseWriter, r *http.Request) { close(inside); <-leave; echo(w, r) })
		c, r := dial(t, addr)
		send(t, c, "POST /%61 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
		<-inside
		stopped := make(chan error, 1)
		go func() { stopped <- s.Shutdown(context.Background()) }()
		select {
		case err := <-stopped:
			t.Fatal("it did not wait", err)
		case <-time.After(lingering + 100*time.Millisecond):
		}
		close(leave)
		answered(t, r, "net/http 0 ab")
		require.NoError(t, <-stopped)
	})
	t.Run("S-60 a request that is left to net/http in that moment is answered too", func(t *testing.T) {
		addr, s := front(t, echo)
		conns, readers := make([]net.Conn, 20), make([]*bufio.Reader, 20)
		for i := range conns {
			conns[i], readers[i] = dial(t, addr)
			send(t, conns[i], post("first", "p"))
			answered(t, readers[i], "http1 1 first")
		}
		stopped := make(chan error, 1)
		go func() { stopped <- s.Shutdown(context.Background()) }()
		for !s.stopping.Load() {
			time.Sleep(time.Millisecond)
		}
		for _, c := range conns {
			send(t, c, "POST /%61 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
		}
		for _, r := range readers {
			answered(t, r, "net/http 0 ab")
		}
		require.NoError(t, <-stopped)
	})
	t.Run("a stop sets no deadline of a connection that net/http has", func(t *testing.T) {
		s := New(&http.Server{Handler: http.HandlerFunc(echo)}, Config{})
		s.others = newHandoff(&net.TCPAddr{}) // nobody accepts: it stays on its way
		nc := &deadlines{silentConn: silentConn{left: 1, text: "GET /%61 HTTP/1.1\r\n\r\n"}, free: make(chan struct{})}
		go s.add(nc).serve()
		<-nc.free
		s.stop()
		require.Empty(t, nc.late)
	})
	t.Run("RFC 9112 §9.6 the last answer says that it is the last, and ends pipelines", func(t *testing.T) {
		inside, leave := make(chan struct{}), make(chan struct{})
		addr, s := front(t, func(w http.ResponseWriter, r *http.Request) { close(inside); <-leave; echo(w, r) })
		c, r := dial(t, addr)
		send(t, c, post("a", "")+post("b", ""))
		<-inside
		s.stop()
		close(leave)
		require.True(t, answered(t, r, "http1 0 a").Close)
		_, err := r.ReadByte()
		require.ErrorIs(t, err, io.EOF)
	})
	t.Run("who serves too late finds the listener closed, as by net/http", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		s := New(&http.Server{Handler: http.HandlerFunc(echo)}, Config{})
		require.NoError(t, s.Shutdown(t.Context()))
		require.ErrorIs(t, s.Serve(l), http.ErrServerClosed)
		_, err = net.Dial("tcp", l.Addr().String())
		require.Error(t, err)
	})
	t.Run("a stop that takes too long says so", func(t *testing.T) {
		leave := make(chan struct{})
		inside := make(chan struct{})
		addr, s := front(t, func(http.ResponseWriter, *http.Request) { close(inside); <-leave })
		defer close(leave)
		c, _ := dial(t, addr)
		send(t, c, post("x", ""))
		<-inside
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, s.Shutdown(ctx), context.DeadlineExceeded)
	})
}
