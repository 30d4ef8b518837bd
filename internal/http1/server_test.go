package http1

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func urlOf(path string) url.URL { return url.URL{Path: path} }

// front serves h on loopback, with timeouts that tests can wait for.
func front(t *testing.T, h http.HandlerFunc, change ...func(*http.Server)) (addr string, s *Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: log.New(io.Discard, "", 0)}
	for _, c := range change {
		c(srv)
	}
	s = New(srv, Config{})
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return l.Addr().String(), s
}

// echo tells who read the request, how long X-Pad was, and the body.
func echo(w http.ResponseWriter, r *http.Request) {
	who := "net/http"
	if _, ok := w.(*response); ok {
		who = "http1"
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprintf(w, "%s %d %s", who, len(r.Header.Get("X-Pad")), body)
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

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
}

func answered(t *testing.T, r *bufio.Reader, want string) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, want, string(body))
	return resp
}

func TestRequests(t *testing.T) {
	t.Run("RFC 9112 §9.3.2 requests that come before the answer to the last are each answered once, in order", func(t *testing.T) {
		addr, _ := front(t, echo)
		c, r := dial(t, addr)
		var all strings.Builder
		for i := range 200 {
			all.WriteString(post(fmt.Sprint(i), strings.Repeat("p", i*3)))
		}
		go func() { _, _ = io.WriteString(c, all.String()) }()
		for i := range 200 {
			resp, err := http.ReadResponse(r, nil)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Contains(t, string(body), fmt.Sprintf(" %d %d", i*3, i))
		}
	})
	t.Run("a body that comes behind its head", func(t *testing.T) {
		addr, _ := front(t, echo)
		c, r := dial(t, addr)
		for range 3 {
			text := post("abcdef", "p")
			send(t, c, text[:len(text)-6])
			time.Sleep(20 * time.Millisecond) // two packets: no bubble holds real sockets
			send(t, c, text[len(text)-6:])
			answered(t, r, "http1 1 abcdef")
		}
	})
	t.Run("RFC 9112 §7.1 small chunked bodies, with requests before and behind them", func(t *testing.T) {
		addr, s := front(t, echo)
		c, r := dial(t, addr)
		chunks := chunkedHead + "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
		send(t, c, post("first", "")+chunks+chunks+post("last", "p"))
		for _, want := range []string{"http1 0 first", "http1 0 abcd", "http1 0 abcd", "http1 1 last"} {
			answered(t, r, want)
		}
		for cut := len(chunkedHead); cut < len(chunks); cut++ {
			send(t, c, chunks[:cut])
			time.Sleep(time.Millisecond) // two packets: no bubble holds real sockets
			send(t, c, chunks[cut:])
			answered(t, r, "http1 0 abcd")
		}
		require.Zero(t, s.Counts().HandedOn["late_body"])
	})
	t.Run("every length of head and body around the buffer", func(t *testing.T) {
		addr, _ := front(t, echo)
		for n := bufferSize - 80; n < bufferSize+10; n++ {
			for _, text := range []string{post("b", strings.Repeat("p", n)), post(strings.Repeat("p", n), "")} {
				c, r := dial(t, addr)
				send(t, c, text+post("next", ""))
				resp, err := http.ReadResponse(r, nil)
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, resp.StatusCode, "%d", n)
				require.True(t, strings.HasSuffix(string(body), fmt.Sprintf(" %d b", n)) || strings.HasSuffix(string(body), strings.Repeat("p", n)))
				resp, err = http.ReadResponse(r, nil)
				require.NoError(t, err)
				body, _ = io.ReadAll(resp.Body)
				require.True(t, strings.HasSuffix(string(body), " 0 next"))
				_ = c.Close()
			}
		}
	})
	for name, text := range map[string]string{
		"an extension of a chunk": chunkedHead + "2;x\r\nab\r\n0\r\n\r\n",
		"trailers":                chunkedHead + "2\r\nab\r\n0\r\nX: a\r\n\r\n",
		"a long chunk":            chunkedHead + "1000\r\n" + strings.Repeat("a", 4096) + "\r\n0\r\n\r\n",
		"many chunks":             chunkedHead + strings.Repeat("1\r\na\r\n", 1000) + "0\r\n\r\n",
		"a query":                 "POST /?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
		"a long body":             "POST / HTTP/1.1\r\nHost: a\r\nX-Pad: \r\nContent-Length: 9000\r\n\r\n" + strings.Repeat("a", 9000),
		"HTTP/1.0":                "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nab",
	} {
		t.Run("net/http serves what is not plain, and what was read of it is not lost: "+name, func(t *testing.T) {
			addr, _ := front(t, echo)
			c, r := dial(t, addr)
			send(t, c, post("first", "")+text)
			answered(t, r, "http1 0 first")
			resp, err := http.ReadResponse(r, nil)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(string(body), "net/http 0 a"), string(body))
		})
	}
	for name, between := range map[string]string{"one": "\r\n", "two": "\r\n\r\n"} {
		t.Run("RFC 9112 §2.2 an empty line behind a body is ignored, as net/http does: "+name, func(t *testing.T) {
			addr, _ := front(t, echo)
			c, r := dial(t, addr)
			send(t, c, post("first", "")+between+post("second", ""))
			answered(t, r, "http1 0 first")
			answered(t, r, "http1 0 second")
			send(t, c, post("third", "")+between)
			answered(t, r, "http1 0 third")
			time.Sleep(20 * time.Millisecond) // two packets: no bubble holds real sockets
			send(t, c, post("fourth", ""))
			answered(t, r, "http1 0 fourth")
		})
	}
	t.Run("RFC 9110 §10.1.1 who waits for 100 gets it", func(t *testing.T) {
		addr, _ := front(t, echo)
		c, r := dial(t, addr)
		send(t, c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
		_, _ = r.ReadString('\n')
		send(t, c, "ab")
		answered(t, r, "net/http 0 ab")
	})
	for name, text := range map[string]string{"no HTTP": "\x16\x03\x01 hello\r\n\r\n", "two hosts": "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"} {
		t.Run("RFC 9112 §3.2 400 for "+name, func(t *testing.T) {
			addr, _ := front(t, echo)
			c, r := dial(t, addr)
			send(t, c, text)
			resp, err := http.ReadResponse(r, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusBadRequest, resp.StatusCode)
		})
	}
}

// TestNothingStays: what a handler does to its request and its answer, the next request of the connection does not see.
func TestNothingStays(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"header": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("X-Junk", "a")
			r.Header.Add("X-Pad", "b")
			r.Header["Content-Type"][0] = "c"
			w.Header()["X-Junk"] = []string{"a"}
		},
		"everything else": func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path, r.URL.RawQuery, r.Method, r.Host, r.RequestURI, r.RemoteAddr, r.Close = "/b", "a=c", "PUT", "b", "/c", "d", true
			r.Header, r.Body, r.TransferEncoding = http.Header{"X-Junk": {"a"}}, nil, []string{"chunked"}
			r.SetPathValue("a", "b")
			w.WriteHeader(http.StatusNoContent)
		},
		"forms": func(_ http.ResponseWriter, r *http.Request) { _ = r.ParseMultipartForm(10); _ = r.FormValue("a") },
		"a body read in part": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = r.Body.Read(make([]byte, 1))
			_ = r.Body.(*Body).Text()
			_, _ = io.ReadAll(r.Body)
		},
		"a body not read, and a long answer": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) },
		"a copy":                             func(_ http.ResponseWriter, r *http.Request) { r.WithContext(context.Background()).Header.Del("X-Pad") },
	} {
		t.Run("of a request of the connection in the next: "+name, func(t *testing.T) {
			addr, _ := front(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/do" {
					h(w, r)
					return
				}
				left := fmt.Sprint(r.Form, r.PostForm, r.MultipartForm, r.Pattern, r.PathValue("a"), r.Close, r.TransferEncoding, r.Context().Err())
				body, _ := io.ReadAll(r.Body)
				_, _ = fmt.Fprint(w, left, r.Method, r.URL, r.Host, r.RequestURI, r.Header, string(body), w.Header())
			})
			last := strings.Replace(post("a=b", "p"), "X-Pad", "Content-Type: application/x-www-form-urlencoded\r\nX-Pad", 1)
			var got []string
			for _, before := range []string{"", strings.Replace(last, "/", "/do", 1)} {
				c, r := dial(t, addr)
				send(t, c, before+last)
				for text := range strings.SplitSeq(before+last, "POST ") {
					if text == "" {
						continue
					}
					resp, err := http.ReadResponse(r, nil)
					require.NoError(t, err)
					body, err := io.ReadAll(resp.Body)
					require.NoError(t, err)
					resp.Header.Del("Date")
					if strings.HasPrefix(text, "/ ") {
						got = append(got, fmt.Sprint(resp.StatusCode, resp.Header, string(body)))
					}
				}
			}
			require.Len(t, got, 2)
			require.Equal(t, got[0], got[1])
		})
	}
}

// bare is a listener whose connections can only be closed whole, as netutil.LimitListener's.
type bare struct{ net.Listener }

func (l bare) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

func TestLastAnswer(t *testing.T) {
	for name, wrap := range map[string]func(net.Listener) net.Listener{"TCP": func(l net.Listener) net.Listener { return l }, "TCP behind a limit": func(l net.Listener) net.Listener { return bare{l} }} {
		t.Run("RFC 9112 §9.6 requests behind the last one do not reset the connection: "+name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			s := New(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close"); echo(w, r) })}, Config{})
			go func() { _ = s.Serve(wrap(l)) }()
			defer func() { _ = s.Close() }()
			c, r := dial(t, l.Addr().String())
			send(t, c, strings.Repeat(post("x", strings.Repeat("p", 900)), 20))
			require.True(t, answered(t, r, "http1 900 x").Close)
			_, err = r.ReadByte()
			require.ErrorIs(t, err, io.EOF)
		})
	}
}

// TestAnswers holds what a client reads to what it would read from net/http.
func TestAnswers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"a text":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		"JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("{}"))
		},
		"a status": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("{}"))
		},
		"a status of no name": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(299) },
		"a length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			_, _ = w.Write([]byte("{}"))
		},
		"204": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			_, _ = w.Write([]byte("{}"))
		},
		"304": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"a"`)
			w.WriteHeader(http.StatusNotModified)
		},
		"values of several lines": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-A", "b\r\nX-C: d"); w.WriteHeader(200) },
		"several values": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Vary"] = []string{"Origin", "Accept"}
			w.WriteHeader(200)
		},
		"two statuses": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			w.Header().Set("X-Late", "a")
			_, _ = w.Write([]byte("a"))
		},
		"its own date": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT") },
		"the last": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			_, _ = w.Write([]byte("a"))
		},
		"two megabytes": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) },
		"names that are none": func(w http.ResponseWriter, _ *http.Request) {
			for _, name := range []string{"X-A\r\nX-B", "X-A\nX-B", "X C", "X:D", "X\x00", ""} {
				w.Header()[name] = []string{"a"}
			}
			w.Header()["x.odd~but'token"] = []string{"a"}
			_, _ = io.WriteString(w, "a")
		},
		"what is encoded": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "\x1f\x8bab")
		},
		"what it was asked": func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprint(w, r.Method, r.URL, r.Proto, r.Host, r.Header, r.ContentLength, r.RequestURI, r.TransferEncoding, r.Close, string(body), r.Context().Err(), r.FormValue("a"))
		},
	} {
		t.Run("RFC 9110 §6 the same as net/http's: "+name, func(t *testing.T) {
			theirs := httptest.NewServer(h)
			defer theirs.Close()
			addr, _ := front(t, h)
			var got []string
			for _, at := range []string{theirs.Listener.Addr().String(), addr} {
				c, r := dial(t, at)
				send(t, c, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=b")
				resp, err := http.ReadResponse(r, nil)
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				if resp.Header.Get("Date") != "Thu, 01 Jan 1970 00:00:00 GMT" {
					require.NotEmpty(t, resp.Header.Get("Date"))
					resp.Header.Del("Date")
				}
				if len(body) > 1<<20 { // net/http sends chunks
					resp.ContentLength, resp.TransferEncoding = 0, nil
					resp.Header.Del("Content-Length")
				}
				got = append(got, fmt.Sprint(resp.StatusCode, resp.Header, resp.ContentLength, resp.TransferEncoding, resp.Close, string(body)))
			}
			require.Equal(t, got[0], got[1])
		})
	}
	for _, status := range []int{-1, 0, 99, 1000} {
		t.Run(fmt.Sprint("RFC 9110 §15 no answer for what is no status, as net/http gives none: ", status), func(t *testing.T) {
			addr, _ := front(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
			c, r := dial(t, addr)
			send(t, c, post("a", ""))
			_, err := r.ReadByte()
			require.ErrorIs(t, err, io.EOF)
		})
	}
	t.Run("a panic ends its connection and no other", func(t *testing.T) {
		addr, _ := front(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Pad") == "p" {
				panic("a bug")
			}
			echo(w, r)
		})
		other, r := dial(t, addr)
		c, dead := dial(t, addr)
		send(t, c, post("a", "p"))
		_, err := dead.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		send(t, other, post("a", ""))
		answered(t, r, "http1 0 a")
	})
}

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

// deadlines is a connection that remembers which read deadlines were set after its deadlines had been taken away.
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
		send(t, c, "POST /?a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
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
			send(t, c, "POST /?a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
		}
		for _, r := range readers {
			answered(t, r, "net/http 0 ab")
		}
		require.NoError(t, <-stopped)
	})
	t.Run("a stop sets no deadline of a connection that net/http has", func(t *testing.T) {
		s := New(&http.Server{Handler: http.HandlerFunc(echo)}, Config{})
		s.others = newHandoff(&net.TCPAddr{}) // nobody accepts: it stays on its way
		nc := &deadlines{silentConn: silentConn{left: 1, text: "GET /?a HTTP/1.1\r\n\r\n"}, free: make(chan struct{})}
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

func TestCarry(t *testing.T) {
	t.Run("what a request carries ends with it, and is one thing", func(t *testing.T) {
		var before []any
		addr, _ := front(t, func(w http.ResponseWriter, r *http.Request) {
			before = append(before, Carried(r.Context()))
			if !Carry(r.Context(), "load") || Carry(r.Context(), "another") || Carried(r.Context()) != "load" {
				w.WriteHeader(http.StatusInternalServerError)
			}
			if len(before) == 2 && (!Carry(r.Context(), nil) || Carried(r.Context()) != nil || !Carry(r.Context(), "another")) {
				w.WriteHeader(http.StatusInternalServerError)
			}
			echo(w, r)
		})
		c, r := dial(t, addr)
		for range 3 {
			send(t, c, post("a", ""))
			require.Equal(t, http.StatusOK, answered(t, r, "http1 0 a").StatusCode)
		}
		require.Equal(t, []any{nil, nil, nil}, before)
	})
	t.Run("other contexts carry nothing", func(t *testing.T) {
		require.False(t, Carry(t.Context(), "load"))
		require.Nil(t, Carried(t.Context()))
	})
}

// silentConn is a connection on which the same request comes again and again; what is answered goes nowhere.
type silentConn struct {
	net.Conn
	text string
	left int
}

func (c *silentConn) Read(p []byte) (int, error) {
	if c.left--; c.left < 0 {
		return 0, io.EOF
	}
	return copy(p, c.text), nil
}
func (c *silentConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *silentConn) Close() error                     { return nil }
func (c *silentConn) SetReadDeadline(time.Time) error  { return nil }
func (c *silentConn) SetWriteDeadline(time.Time) error { return nil }
func (c *silentConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *silentConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

func BenchmarkRequest(b *testing.B) {
	b.ReportAllocs()
	s := New(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"active":false}`)) })}, Config{})
	c := newConn(s, &silentConn{left: b.N, text: "POST /oauth2/introspect HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Basic ZGVtbzpkZW1v\r\n" +
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\ntoken=abcd"})
	c.serve()
}
