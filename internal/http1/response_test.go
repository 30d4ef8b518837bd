package http1

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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
