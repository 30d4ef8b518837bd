package http1

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTimeouts(t *testing.T) {
	t.Run("S-40 a slow header is cut in time, and so is one after earlier requests had pushed the deadline", func(t *testing.T) {
		addr, _ := front(t, echo, func(s *http.Server) { s.ReadHeaderTimeout = 300 * time.Millisecond })
		for _, before := range []int{0, 5} {
			c, r := dial(t, addr)
			for range before {
				send(t, c, post("x", ""))
				answered(t, r, "http1 0 x")
			}
			began := time.Now()
			send(t, c, "POST / HTTP/1.1\r\nHo")
			_, err := io.ReadAll(r)
			require.False(t, os.IsTimeout(err), "the server did not close")
			require.GreaterOrEqual(t, time.Since(began), 250*time.Millisecond)
			require.Less(t, time.Since(began), 4*time.Second)
		}
	})
	t.Run("S-40 a slow body is cut in time", func(t *testing.T) {
		addr, _ := front(t, echo, func(s *http.Server) { s.ReadHeaderTimeout, s.ReadTimeout = 200*time.Millisecond, 400*time.Millisecond })
		c, r := dial(t, addr)
		began := time.Now()
		send(t, c, strings.TrimSuffix(post("ten bytes.", ""), "es."))
		resp, err := http.ReadResponse(r, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, resp.StatusCode)
		require.GreaterOrEqual(t, time.Since(began), bodyWait+350*time.Millisecond)
	})
	t.Run("an idle connection outlives the deadlines of its requests, and no longer than it may", func(t *testing.T) {
		addr, _ := front(t, echo, func(s *http.Server) {
			s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = 100*time.Millisecond, 150*time.Millisecond, 150*time.Millisecond, 700*time.Millisecond
		})
		c, r := dial(t, addr)
		for range 3 {
			send(t, c, post("x", ""))
			answered(t, r, "http1 0 x")
			time.Sleep(300 * time.Millisecond) // real sockets: no bubble holds them
		}
		began := time.Now()
		_, err := r.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		require.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)
		require.Less(t, time.Since(began), 700*time.Millisecond+slack+2*time.Second)
	})
	t.Run("S-40 a connection on which nothing comes is cut like a slow header, and not like an idle one", func(t *testing.T) {
		addr, _ := front(t, echo, func(s *http.Server) { s.ReadHeaderTimeout = 100 * time.Millisecond })
		_, r := dial(t, addr)
		_, err := r.ReadByte()
		require.ErrorIs(t, err, io.EOF)
	})
	t.Run("S-41 a client that does not read is cut in time", func(t *testing.T) {
		ended := make(chan struct{})
		addr, s := front(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 64<<20)) },
			func(s *http.Server) { s.WriteTimeout = 300 * time.Millisecond })
		c, _ := dial(t, addr)
		send(t, c, post("x", ""))
		go func() {
			for s.open() > 0 {
				time.Sleep(10 * time.Millisecond)
			}
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(slack + 5*time.Second):
			t.Fatal("it is still served")
		}
	})
}
