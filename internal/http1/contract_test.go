package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHandlerContract is what net/http promises to handlers, and to what they leave behind.
func TestHandlerContract(t *testing.T) {
	t.Run("a goroutine that outlives its handler keeps its own request, and can harm no other", func(t *testing.T) {
		var left sync.WaitGroup
		next := make(chan struct{})
		addr, _ := front(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/left" {
				r.Header.Set("X-Own", "second")
				_, _ = fmt.Fprint(w, r.URL.Path, r.Header.Get("X-Pad"), r.Context().Err())
				return
			}
			left.Go(func() {
				<-next
				body, _ := io.ReadAll(r.Body)
				if got := fmt.Sprint(r.URL.Path, r.Header, string(body), r.Context().Err()); got != "/leftmap[Content-Length:[5] X-Pad:[p]]firstcontext canceled" {
					t.Error(got)
				}
				w.Header().Set("X-Late", "a")
				_, _ = w.Write([]byte("late"))
				r.Header.Set("X-Pad", "late")
			})
		})
		c, r := dial(t, addr)
		send(t, c, strings.Replace(post("first", "p"), "/", "/left", 1))
		answered(t, r, "")
		close(next)
		for range 20 {
			send(t, c, post("", "q"))
			require.Empty(t, answered(t, r, "/q<nil>").Header.Get("X-Late"))
		}
		left.Wait()
	})
	t.Run("the context ends when the request was answered", func(t *testing.T) {
		ended := make(chan error, 1)
		addr, _ := front(t, func(_ http.ResponseWriter, r *http.Request) {
			derived, cancel := context.WithCancel(r.Context())
			go func() { defer cancel(); <-derived.Done(); ended <- context.Cause(derived) }()
		})
		c, r := dial(t, addr)
		for range 3 {
			send(t, c, post("a", ""))
			answered(t, r, "")
			require.ErrorIs(t, <-ended, context.Canceled)
		}
	})
	t.Run("the context ends when the client hangs up", func(t *testing.T) {
		ended := make(chan struct{})
		addr, _ := front(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(ended) })
		c, _ := dial(t, addr)
		send(t, c, post("a", ""))
		require.NoError(t, c.Close())
		<-ended
	})
	t.Run("the context ends when the client of TLS hangs up", func(t *testing.T) {
		ended := make(chan struct{})
		addr, _, client := secure(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(ended) })
		config := client.Transport.(*http.Transport).TLSClientConfig.Clone()
		config.ServerName, config.NextProtos = "example.com", []string{"http/1.1"}
		c, err := tls.Dial("tcp", addr, config)
		require.NoError(t, err)
		send(t, c, post("a", ""))
		require.NoError(t, c.Close())
		<-ended
	})
	t.Run("who watches for a hang-up loses nothing of the next request", func(t *testing.T) {
		addr, _ := front(t, func(w http.ResponseWriter, r *http.Request) {
			done := r.Context().Done()
			select {
			case <-done:
			case <-time.After(5 * time.Millisecond): // the client's next bytes come meanwhile
			}
			echo(w, r)
		})
		c, r := dial(t, addr)
		send(t, c, strings.Repeat(post("one", "p"), 5))
		for range 5 {
			answered(t, r, "http1 1 one")
		}
		for i := range 10 {
			send(t, c, post(fmt.Sprint(i), "p"))
			time.Sleep(time.Millisecond) // two packets: no bubble holds real sockets
			send(t, c, post("x", "pp"))
			answered(t, r, fmt.Sprint("http1 1 ", i))
			answered(t, r, "http1 2 x")
		}
	})
}

// TestLeftBehind is for the race detector: hundreds of goroutines outlive their handlers, over
// plain connections and TLS.
func TestLeftBehind(t *testing.T) {
	var left sync.WaitGroup
	over := make(chan struct{})
	handler := func(w http.ResponseWriter, r *http.Request) {
		own := r.Header.Get("X-Pad")
		derived, cancel := context.WithCancel(r.Context())
		left.Go(func() {
			defer cancel()
			<-derived.Done() // at the return of the handler
			for i := 0; ; i++ {
				if r.Header.Get("X-Pad") != own || r.URL.Path != "/" || r.Method != "POST" || r.Context().Err() == nil {
					t.Error("another request's: ", own, r.Header, r.URL, r.Method, r.Context().Err())
					return
				}
				r.Header.Set("X-Late", own)
				select {
				case <-over:
					return
				case <-time.After(time.Duration(i) * time.Millisecond):
				}
			}
		})
		_, _ = io.WriteString(w, own)
	}
	plain, _ := front(t, handler)
	secured, _, client := secure(t, handler)
	config := client.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName, config.NextProtos = "example.com", []string{"http/1.1"}
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			var c net.Conn
			var err error
			if i%2 == 0 {
				c, err = net.Dial("tcp", plain)
			} else {
				c, err = tls.Dial("tcp", secured, config)
			}
			if !assert.NoError(t, err) {
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(60 * time.Second))
			r := bufio.NewReader(c)
			for k := range 20 {
				one, two := fmt.Sprintf("%d-%d", i, k), fmt.Sprintf("%d-%d-b", i, k)
				_, _ = io.WriteString(c, post("a=b", one)+post("", two))
				for _, want := range []string{one, two} {
					resp, err := http.ReadResponse(r, nil)
					if !assert.NoError(t, err) {
						return
					}
					body, _ := io.ReadAll(resp.Body)
					assert.Equal(t, want, string(body))
				}
			}
		})
	}
	all.Wait()
	close(over)
	left.Wait()
}

func TestFaultsAreLoggedAsErrors(t *testing.T) {
	var text bytes.Buffer
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := New(&http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") })}, Config{Log: slog.New(slog.NewJSONHandler(&text, nil))})
	served := make(chan struct{})
	go func() { defer close(served); _ = s.Serve(l) }()
	c, r := dial(t, l.Addr().String())
	send(t, c, post("a", ""))
	_, err = r.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, s.Shutdown(t.Context()))
	<-served
	require.Contains(t, text.String(), `"level":"ERROR","msg":"http1: panic while serving a request"`)
}

// TestBeginOfTheNext: the time that a late body had is not the next request's.
func TestBeginOfTheNext(t *testing.T) {
	addr, _ := front(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			time.Sleep(bodyWait)
		}
		echo(w, r)
	})
	c, r := dial(t, addr)
	first := strings.Replace(post("a", ""), "/", "/late", 1)
	send(t, c, first[:len(first)-1])
	time.Sleep(10 * time.Millisecond) // the head is read alone
	next := post("b", "")
	send(t, c, "a"+next[:2])
	answered(t, r, "http1 0 a")
	send(t, c, next[2:])
	answered(t, r, "http1 0 b")
}
