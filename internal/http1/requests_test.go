package http1

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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
		"an escape in the path":   "POST /%61 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
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
