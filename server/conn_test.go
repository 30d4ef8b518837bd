package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/server"
)

// quiet serves h on loopback through server.Quiet, with timeouts that tests can wait for.
func quiet(t *testing.T, h http.HandlerFunc, change ...func(*http.Server)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second}
	for _, c := range change {
		c(srv)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(server.Quiet(l)) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return l.Addr().String()
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprintf(w, "%d %s", len(r.Header.Get("X-Pad")), body)
}

func dial(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return c, bufio.NewReader(c)
}

func post(body, pad string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nX-Pad: %s\r\n\r\n%s", len(body), pad, body)
}

func answered(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, want, string(body))
}

func TestQuiet(t *testing.T) {
	t.Run("RFC 9112 §9.3.2 requests that come before the answer to the last are each answered once, in order", func(t *testing.T) {
		c, r := dial(t, quiet(t, echo))
		var all strings.Builder
		for i := range 200 {
			all.WriteString(post(fmt.Sprint(i), strings.Repeat("p", i*7)))
		}
		go func() { _, _ = io.WriteString(c, all.String()) }()
		for i := range 200 {
			answered(t, r, fmt.Sprintf("%d %d", i*7, i))
		}
	})
	t.Run("a read of one byte that is meant is done, after one that comes back empty", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		q := server.Quiet(l)
		defer func() { _ = q.Close() }()
		there, _ := dial(t, l.Addr().String())
		here, err := q.Accept()
		require.NoError(t, err)
		defer func() { _ = here.Close() }()
		r := bufio.NewReaderSize(here, 16)
		for range 3 {
			_, err = io.WriteString(there, strings.Repeat("a", 15))
			require.NoError(t, err)
			_, err = r.Peek(15)
			require.NoError(t, err)
			_, err = io.WriteString(there, "b")
			require.NoError(t, err)
			all, err := r.Peek(16) // the room that is left is one byte
			require.NoError(t, err)
			require.Equal(t, "aaaaaaaaaaaaaaab", string(all))
			_, err = r.Discard(16)
			require.NoError(t, err)
		}
		n, err := here.Read(make([]byte, 1))
		require.NoError(t, err)
		require.Zero(t, n)
	})
	t.Run("headers of every length around net/http's buffer", func(t *testing.T) {
		addr := quiet(t, echo)
		for n := 4096 - 70; n < 4096+10; n++ {
			c, r := dial(t, addr)
			_, err := io.WriteString(c, post("b", strings.Repeat("p", n)))
			require.NoError(t, err)
			answered(t, r, fmt.Sprintf("%d b", n))
			_ = c.Close()
		}
	})
	t.Run("S-40 a slow header is cut in time, and so is one after earlier requests had pushed the deadline", func(t *testing.T) {
		addr := quiet(t, echo, func(s *http.Server) { s.ReadHeaderTimeout = 300 * time.Millisecond })
		for _, before := range []int{0, 5} {
			c, r := dial(t, addr)
			for range before {
				_, err := io.WriteString(c, post("x", ""))
				require.NoError(t, err)
				answered(t, r, "0 x")
			}
			began := time.Now()
			_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHo")
			require.NoError(t, err)
			_, err = io.ReadAll(r)
			require.False(t, os.IsTimeout(err), "the server did not close")
			require.GreaterOrEqual(t, time.Since(began), 250*time.Millisecond)
		}
	})
	t.Run("S-40 a slow body is cut in time", func(t *testing.T) {
		addr := quiet(t, echo, func(s *http.Server) { s.ReadHeaderTimeout, s.ReadTimeout = 200*time.Millisecond, 400*time.Millisecond })
		c, r := dial(t, addr)
		began := time.Now()
		_, err := io.WriteString(c, strings.TrimSuffix(post("ten bytes.", ""), "es."))
		require.NoError(t, err)
		_, err = http.ReadResponse(r, nil)
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(began), 350*time.Millisecond, "the deadline of the header was for the header alone")
	})
	t.Run("an idle connection outlives the deadlines of its requests, and no longer than it may", func(t *testing.T) {
		addr := quiet(t, echo, func(s *http.Server) {
			s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = 100*time.Millisecond, 150*time.Millisecond, 150*time.Millisecond, 700*time.Millisecond
		})
		c, r := dial(t, addr)
		for range 3 {
			_, err := io.WriteString(c, post("x", ""))
			require.NoError(t, err)
			answered(t, r, "0 x")
			time.Sleep(300 * time.Millisecond) // real sockets: no bubble holds them
		}
		began := time.Now()
		_, err := r.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		require.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)
	})
	t.Run("S-41 a client that does not read is cut in time, whatever was written before", func(t *testing.T) {
		cut := make(chan time.Duration, 1)
		addr := quiet(t, func(w http.ResponseWriter, _ *http.Request) {
			began := time.Now()
			for block := make([]byte, 1<<20); ; {
				if _, err := w.Write(block); err != nil {
					cut <- time.Since(began)
					return
				}
			}
		}, func(s *http.Server) { s.WriteTimeout = 500 * time.Millisecond })
		c, _ := dial(t, addr)
		_, err := io.WriteString(c, post("x", ""))
		require.NoError(t, err)
		require.GreaterOrEqual(t, <-cut, 400*time.Millisecond)
	})
	t.Run("S-41 what is written slowly but in time arrives whole", func(t *testing.T) {
		addr := quiet(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = w.Write(make([]byte, 8<<20))
		}, func(s *http.Server) { s.WriteTimeout = 800 * time.Millisecond })
		c, r := dial(t, addr)
		for range 3 { // the deadline of the first request falls into the third
			_, err := io.WriteString(c, post("x", ""))
			require.NoError(t, err)
			time.Sleep(350 * time.Millisecond)
			resp, err := http.ReadResponse(r, nil)
			require.NoError(t, err)
			n, err := io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.Equal(t, int64(8<<20), n)
		}
	})
	t.Run("S-60 a stop lets idle connections go and waits for busy ones", func(t *testing.T) {
		inside, leave := make(chan struct{}), make(chan struct{})
		var srv *http.Server
		addr := quiet(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Pad") == "" {
				close(inside)
				<-leave
			}
			echo(w, r)
		}, func(s *http.Server) { srv = s })
		first, idle := dial(t, addr)
		_, err := io.WriteString(first, post("first", "p"))
		require.NoError(t, err)
		answered(t, idle, "1 first")
		c, r := dial(t, addr)
		_, err = io.WriteString(c, post("last", ""))
		require.NoError(t, err)
		<-inside
		stopped := make(chan error, 1)
		go func() { stopped <- srv.Shutdown(context.Background()) }()
		time.AfterFunc(50*time.Millisecond, func() { close(leave) })
		answered(t, r, "0 last")
		_, err = idle.ReadByte()
		require.Error(t, err)
		require.NoError(t, <-stopped)
	})
}
