package integration_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// wire is one connection to a listener.
type wire struct {
	t    *testing.T
	conn net.Conn
	read *bufio.Reader
}

func dialWire(t *testing.T, where string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(where, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	return &wire{t, c, bufio.NewReader(c)}
}

// ask sends a request and reads its answer by its framing.
func (l *wire) ask(method, path, token, more string) (*http.Response, string) {
	l.t.Helper()
	_, err := fmt.Fprintf(l.conn, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n%s\r\n", method, path, token, more)
	require.NoError(l.t, err)
	res, err := http.ReadResponse(l.read, &http.Request{Method: method})
	require.NoError(l.t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(l.t, err)
	res.Header.Del("Date")
	res.Header.Del("X-Request-Id")
	return res, string(body)
}

func TestHead(t *testing.T) {
	o := openDesk(t)
	admin, metrics := o.p.where("The admin API"), o.p.where("Metrics")
	paths := map[string][]string{
		o.p.URL: {"/healthz", "/readyz", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/no/such/path"},
		admin: {"/healthz", "/readyz", "/admin/v1/openapi.json", "/admin/v1/clients", "/admin/v1/clients/op", "/admin/v1/clients/op/secrets",
			"/admin/v1/users", "/admin/v1/users/u-1/sessions", "/oauth2/register/op"},
		metrics: {"/healthz", "/readyz", "/metrics"},
	}
	for engine, more := range map[string]string{"http1": "", "net/http": "Te: trailers\r\n"} { // which http1 hands on
		for where, list := range paths {
			l := dialWire(t, where)
			for _, path := range list {
				t.Run("RFC 9110 §9.3.2 HEAD is GET without its body, and the connection goes on: "+path+" "+engine, func(t *testing.T) {
					l.t = t
					head, none := l.ask("HEAD", path, o.token, more)
					get, body := l.ask("GET", path, o.token, more)
					require.Empty(t, none)
					require.NotEmpty(t, body)
					require.Equal(t, get.StatusCode, head.StatusCode)
					if path == "/metrics" { // streamed, and other at each scrape
						require.Equal(t, get.Header.Get("Content-Type"), head.Header.Get("Content-Type"))
						return
					}
					require.Equal(t, get.Header, head.Header)
					require.Equal(t, int64(len(body)), head.ContentLength)
				})
			}
		}
	}
	t.Run("RFC 9110 §9.3.2 http1 answers HEAD itself", func(t *testing.T) {
		if os.Getenv("GRANTOR_TEST_HTTP1") == "false" {
			t.Skip("the suite runs with net/http alone")
		}
		require.NotContains(t, o.p.scrape(), "grantor_http1_requests_total 0\n")
		l := dialWire(t, o.p.URL)
		handed := func() string {
			for _, text := range strings.Split(o.p.scrape(), "\n") {
				if strings.HasPrefix(text, `grantor_http1_handed_on_total{reason="request_line"}`) {
					return text
				}
			}
			return ""
		}
		before := handed()
		require.NotEmpty(t, before)
		for range 3 {
			res, _ := l.ask("HEAD", "/healthz", "x", "")
			require.Equal(t, 200, res.StatusCode)
		}
		require.Equal(t, before, handed())
	})
	t.Run("RFC 9110 §15.5.6 Allow names HEAD beside GET", func(t *testing.T) {
		for where, path := range map[string]string{o.p.URL: "/healthz", admin: "/admin/v1/clients/op/secrets", metrics: "/metrics"} {
			res, _ := dialWire(t, where).ask("PUT", path, o.token, "Content-Type: application/json\r\nContent-Length: 0\r\n")
			require.Equal(t, 405, res.StatusCode, path)
			require.Regexp(t, `\bGET\b.*\bHEAD\b`, res.Header.Get("Allow"), path)
		}
	})
}
