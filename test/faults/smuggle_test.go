package faults_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/processtest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// smuggled are requests that two readers may cut at different places; %s is a second one, to be
// smuggled.
func smuggled() map[string]string {
	post := introspection
	return map[string]string{
		"two lengths":                      post + "Content-Length: 0\r\nContent-Length: 60\r\n\r\n%s",
		"a list of lengths":                post + "Content-Length: 0, 60\r\n\r\n%s",
		"a length with a sign":             post + "Content-Length: +0\r\n\r\n%s",
		"a negative length":                post + "Content-Length: -1\r\n\r\n%s",
		"a length in hexadecimal":          post + "Content-Length: 0x0\r\n\r\n%s",
		"an unknown coding":                post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n%s",
		"a coding in a list":               post + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n%s",
		"two codings":                      post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n%s",
		"a blank before the colon":         post + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n%s",
		"a coding on a folded line":        post + "X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n0\r\n\r\n%s",
		"a tab in the coding":              post + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n%s",
		"a chunk size that is none":        post + "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n%s",
		"a chunk extension with a bare LF": post + "Transfer-Encoding: chunked\r\n\r\n0;a\n\r\n\r\n%s",
		"a NUL in a header":                post + "X-A: \x00\r\nContent-Length: 0x\r\n\r\n%s",
		"a CR alone":                       post + "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 0x\r\n\r\n%s",
		"no host":                          "POST /oauth2/introspect HTTP/1.1\r\n\r\n%s",
		"two hosts":                        "POST /oauth2/introspect HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n%s",
	}
}

const introspection = "POST /oauth2/introspect HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"

// twoFramings are requests with a length and chunks.
func twoFramings() map[string]string {
	return map[string]string{
		"Content-Length and chunks": introspection + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s",
		"chunks and Content-Length": introspection + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n%s",
	}
}

const second = "GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n"

func TestSmuggling(t *testing.T) {
	d := deploy(t, inMemory)
	n := d.serve(t)
	t.Run("S-44 a request that two readers may cut differently is refused, and the connection closes", func(t *testing.T) {
		for name, form := range smuggled() {
			r := exchangeRaw(t, n.Addr, fmt.Sprintf(form, second))
			require.Contains(t, []int{400, 501}, r.status, name)
			require.Equal(t, 1, r.answers, "%s: the second request was answered", name)
			require.True(t, r.closed, "%s: the connection stays open", name)
		}
		figure(t, "S-44", fmt.Sprintf("%d ambiguous requests, direct: 400 (501 for unknown codings) and closed; 0 second requests answered", len(smuggled())), "400 and close; 0")
	})
	for name, front := range map[string]func(*testing.T, string) string{"nginx": nginx, "HAProxy": haproxy} {
		t.Run("S-44 behind "+name+" the node sees no request that the proxy did not see", func(t *testing.T) {
			behind := newProxy(t, n.Addr)
			addr := front(t, behind.Addr)
			require.Equal(t, 200, exchangeRaw(t, addr, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").status, "the way through the proxy works")
			forwarded := 0
			for title, form := range both() {
				behind.sent.Reset()
				behind.got.Reset()
				r := exchangeRaw(t, addr, fmt.Sprintf(form, second))
				sent, answers := strings.Count(strings.ToLower(behind.sent.String()), "x-front: 1"), strings.Count(behind.got.String(), "HTTP/1.1 ")
				require.LessOrEqual(t, answers, sent, "%s: the node answered what the proxy took for a body", title)
				require.LessOrEqual(t, sent, r.answers, "%s: a request arrived without its answer", title)
				forwarded += sent
			}
			figure(t, "S-44", fmt.Sprintf("%d ambiguous requests behind %s, which forwarded %d: the node saw 0 that the proxy did not see", len(both()), name, forwarded), "0")
		})
	}
}

// both are all requests, with those of two framings, of which RFC 9112 §6.3 lets the server believe
// the chunks.
func both() map[string]string {
	all := smuggled()
	maps.Copy(all, twoFramings())
	return all
}

// raw is what came of bytes sent to a port.
type raw struct {
	status  int // of the first answer
	answers int
	closed  bool // the connection was closed within a second of the last byte
}

func exchangeRaw(t *testing.T, addr, request string) (r raw) {
	t.Helper()
	conn := dialNode(t, &node{Addr: addr})
	_, err := io.WriteString(conn, request)
	require.NoError(t, err)
	var text strings.Builder
	patience := 6 * time.Second // longer than the server's, for headers
	for buf := make([]byte, 4096); ; patience = time.Second {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		k, err := conn.Read(buf)
		text.Write(buf[:k])
		if err != nil {
			r.closed = !errors.Is(err, os.ErrDeadlineExceeded)
			break
		}
	}
	_, _ = fmt.Sscanf(text.String(), "HTTP/1.1 %d", &r.status)
	r.answers = strings.Count(text.String(), "HTTP/1.")
	return r
}

func TestTwoFramings(t *testing.T) {
	n := deploy(t, inMemory).serve(t)
	t.Run("S-44 RFC 9112 §6.1 after a request with Content-Length and Transfer-Encoding the connection is closed", func(t *testing.T) {
		for name, form := range twoFramings() {
			r := exchangeRaw(t, n.Addr, fmt.Sprintf(form, second))
			require.Equal(t, 1, r.answers, "%s: the second request was answered", name)
			require.True(t, r.closed, name)
		}
	})
}

// frontEnd runs a proxy of Debian's in the foreground, and waits until it listens.
func frontEnd(t *testing.T, program, config string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if path = "/usr/sbin/" + program; !exists(path) {
			if os.Getenv("GRANTOR_TEST_REQUIRE_PROXIES") == "1" {
				t.Fatal(program + " is not there")
			}
			t.Skip(program + " is not there")
		}
	}
	dir := t.TempDir()
	port := redistest.FreePort(t)
	file := filepath.Join(dir, "conf")
	config = strings.NewReplacer("PORT", port, "DIR", dir).Replace(config)
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	cmd := exec.Command(path, append(args, file)...)
	out := &processtest.Text{}
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	addr := "127.0.0.1:" + port
	require.Eventually(t, func() bool {
		res, err := http.Get("http://" + addr + "/healthz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == 200
	}, 10*time.Second, 20*time.Millisecond, "%s: %s", program, out)
	return addr
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func nginx(t *testing.T, to string) string {
	return frontEnd(t, "nginx", `daemon off; master_process off; pid DIR/pid; error_log stderr;
events {}
http {
  access_log off; client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
  upstream grantor { server `+to+`; keepalive 8; }
  server { listen 127.0.0.1:PORT; location / { proxy_pass http://grantor; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Front 1; } }
}
`, "-c")
}

func haproxy(t *testing.T, to string) string {
	return frontEnd(t, "haproxy", `defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend f
  bind 127.0.0.1:PORT
  default_backend b
backend b
  http-reuse always
  http-request set-header X-Front 1
  server s `+to+`
`, "-db", "-f")
}
