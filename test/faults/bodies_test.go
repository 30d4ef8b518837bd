package faults_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const formHead = "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"

// send writes a request and returns the answer's status, 0 when the node closed without one, how
// much it took of the request, and how long until then. The rest is thrown in for ten seconds at
// most.
func send(t *testing.T, n *node, request io.Reader) (status int, sent int64, took time.Duration) {
	t.Helper()
	conn := dialNode(t, n)
	begun := time.Now()
	_ = conn.SetDeadline(begun.Add(10 * time.Second))
	written := make(chan int64, 1)
	go func() {
		k, _ := io.Copy(conn, request)
		written <- k
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	took = time.Since(begun)
	if err == nil {
		status = res.StatusCode
	} else if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
		status = -1
	}
	_ = conn.Close()
	return status, <-written, took
}

// endless is a stream of one letter.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// again is a text over and over.
type again struct {
	text string
	at   int
}

func (a *again) Read(p []byte) (int, error) {
	n := copy(p, a.text[a.at:])
	a.at = (a.at + n) % len(a.text)
	return n, nil
}

func TestBigRequests(t *testing.T) {
	d := deploy(t, inMemory)
	n := d.serve(t)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := io.Copy(z, io.LimitReader(endless('a'), 10<<20))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	credentials := "grant_type=client_credentials&client_id=machine-0&client_secret=" + d.secret
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<20, strings.Repeat("a", 1<<20))
	withBody := func(head, body string) string {
		return fmt.Sprintf("%s%sContent-Length: %d\r\n\r\n%s", formHead, head, len(body), body)
	}
	for name, request := range map[string]func() io.Reader{
		"a body of 100 MB": func() io.Reader {
			return io.MultiReader(strings.NewReader(formHead+"Content-Length: 104857600\r\n\r\n"), io.LimitReader(endless('a'), 100<<20))
		},
		"chunks without end": func() io.Reader {
			return io.MultiReader(strings.NewReader(formHead+"Transfer-Encoding: chunked\r\n\r\n"), &again{text: chunk})
		},
		"a header of 1 MB": func() io.Reader {
			return strings.NewReader("POST /oauth2/token HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("a", 1<<20) + "\r\n\r\n")
		},
		"20,000 headers": func() io.Reader {
			return strings.NewReader("POST /oauth2/token HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: b\r\n", 20_000) + "\r\n")
		},
		"a first line of 1 MB": func() io.Reader {
			return strings.NewReader("POST /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n")
		},
		"60,000 parameters":      func() io.Reader { return strings.NewReader(withBody("", credentials+strings.Repeat("&a=", 60_000))) },
		"1,000 other parameters": func() io.Reader { return strings.NewReader(withBody("", credentials+manyParameters(1000))) },
		"10 MB in gzip": func() io.Reader {
			return strings.NewReader(withBody("Content-Encoding: gzip\r\n", zipped.String()))
		},
	} {
		t.Run("S-42 "+name+" is refused within a second, unread", func(t *testing.T) {
			before := n.resident()
			var slowest time.Duration
			var most int64
			for range 5 {
				status, sent, took := send(t, n, request())
				require.GreaterOrEqual(t, status, 400)
				require.Less(t, status, 500)
				slowest, most = max(slowest, took), max(most, sent)
			}
			grown := n.resident() - before
			figure(t, "S-42", fmt.Sprintf("%s: refused in %s, at most %d kB taken, memory %+d kB", name, seconds(slowest), most>>10, grown),
				"4xx < 1 s, memory + < 20 MB, < 16 MB read")
			require.Less(t, slowest, patience)
			require.Less(t, most, int64(16<<20))
			require.Less(t, grown, 20<<10)
		})
	}
}

func manyParameters(count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, "&p%d=%d", i, i)
	}
	return b.String()
}

func TestPublicListener(t *testing.T) {
	t.Run("S-66 metrics, profiles, registration and administration are not on the public listener", func(t *testing.T) {
		d := deploy(t, inMemory)
		n := d.serve(t)
		paths := []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/admin", "/admin/v1/clients", "/admin/v1/users", "/admin/v1/openapi.json",
			"/oauth2/register", "/oauth2/register/machine-0", "/admin/v1/users/u-0/sessions", "//admin/v1/clients", "/oauth2/../admin/v1/clients", "/%61dmin/v1/clients"}
		for _, path := range paths {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
				req, err := http.NewRequest(method, n.URL+path, nil)
				require.NoError(t, err)
				req.SetBasicAuth("machine-0", d.secret)
				res, err := http.DefaultClient.Do(req)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				require.Equal(t, 404, res.StatusCode, "%s %s", method, path)
			}
		}
		figure(t, "S-66", fmt.Sprintf("%d paths by 3 methods on the public listener: 404", len(paths)), "404")
	})
}
