package http1

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
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
			time.Sleep(time.Millisecond)
			send(t, c, post("x", "pp"))
			answered(t, r, fmt.Sprint("http1 1 ", i))
			answered(t, r, "http1 2 x")
		}
	})
}

// seen is what a handler saw of a request.

func seen(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	_, _ = fmt.Fprint(w, r.Method, " ", r.URL, " ", r.Host, " ", r.Header, " ", r.ContentLength, r.TransferEncoding, r.Close, " ", string(body), err != nil)
}

// parts are what generated connections are made of.
var parts = []string{
	post("a=b", "p"), post("", ""), "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /q?a=b HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
	"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST /k HTTP/1.1\r\nHost: a\r\nKeep-Alive: timeout=5\r\nPragma: no-cache\r\nContent-Length: 1\r\n\r\nk", "\r\n", "\n", "\r", "\r\n\r\n\r\n",
	"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "POST /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
	"POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "nonsense\r\n\r\n",
	"GET /get HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", "DELETE /d HTTP/1.1\r\nHost: a\r\n\r\n", "GET /old HTTP/1.0\r\n\r\n",
}

// TestGeneratedConnections: whole connections, cut anywhere, have the same answers as net/http gives, and handlers see the same requests

// (RFC 9112 §11.2).

func TestGeneratedConnections(t *testing.T) {
	theirs := httptest.NewUnstartedServer(http.HandlerFunc(seen))
	theirs.Config.ErrorLog = log.New(io.Discard, "", 0)
	theirs.Start()
	defer theirs.Close()
	ours, _ := front(t, seen)
	rapid.Check(t, func(rt *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 1, 8).Draw(rt, "parts"), "")
		cut := rapid.IntRange(0, len(text)).Draw(rt, "cut")
		var got []string
		for _, addr := range []string{theirs.Listener.Addr().String(), ours} {
			got = append(got, wholeAnswer(rt, addr, text[:cut], text[cut:]))
		}
		if got[0] != got[1] {
			rt.Fatalf("of %q cut at %d\nnet/http: %q\n   http1: %q", text, cut, got[0], got[1])
		}
	})
}

// last is what ends every generated connection.
const last = "GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// wholeAnswer sends a connection's bytes in two pieces, and returns all that comes, without dates, as sorted lines of each head.

func wholeAnswer(t *rapid.T, addr, first, second string) string {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, first)
	_, _ = io.WriteString(c, second+last)
	all, _ := io.ReadAll(c) // an answer to broken bytes may end in a reset
	var out []string
	for _, line := range strings.Split(string(all), "\r\n") {
		if !strings.HasPrefix(line, "Date: ") {
			out = append(out, line)
		}
	}
	return normal(out)
}

// normal brings the fields of each head into one order: a map has none.

func normal(lines []string) string {
	var b strings.Builder
	for at := 0; at < len(lines); {
		end := at
		for end < len(lines) && lines[end] != "" {
			end++
		}
		head := append([]string{}, lines[at:end]...)
		if len(head) > 1 {
			sortTail(head)
		}
		b.WriteString(strings.Join(head, "\n"))
		b.WriteString("\n\n")
		at = end + 1
	}
	return b.String()
}

func sortTail(head []string) {
	tail := head[1:]
	for i := range tail {
		for j := i + 1; j < len(tail); j++ {
			if tail[j] < tail[i] {
				tail[i], tail[j] = tail[j], tail[i]
			}
		}
	}
}

// secure serves h over TLS with a certificate of httptest.

func TestFaultsAreToldAsErrors(t *testing.T) {
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

// TestStopDuringHandshakes is for the race detector: a stop looks at connections that are about to become TLS.

// inPieces is a connection that sends a few bytes at a time.

// TestWatcherSeesPiecesOfRecords: what has come of a TLS record when the watcher ends is not lost.
