package gate

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shapes are the checks of proxies as these send them: Traefik's forwardAuth (a GET of the address,
// the client's headers without hop-by-hop ones, X-Forwarded-*), Caddy's forward_auth (likewise, by
// its reverse proxy), Envoy's HTTP ext_authz (the method and the path of the request behind
// path_prefix, Content-Length 0, and no other headers than are named), nginx's auth_request by
// HTTP/1.1 and by its default, HTTP/1.0.
var shapes = map[string]struct{ head, preflight string }{
	"Traefik": {"GET /verify?scope=orders:read&audience=https://orders.example.com HTTP/1.1\r\nHost: 127.0.0.1:8082\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n" +
		"Content-Type: application/json\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Host: orders.example.com\r\nX-Forwarded-Method: POST\r\nX-Forwarded-Proto: https\r\n" +
		"X-Forwarded-Uri: /orders?scope=orders:write&a=%20\r\nAccept-Encoding: gzip\r\n", "X-Forwarded-Method"},
	"Traefik, a WebSocket": {"GET /verify?scope=orders:read&audience=https://orders.example.com HTTP/1.1\r\nHost: 127.0.0.1:8082\r\nSec-Websocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-Websocket-Version: 13\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Host: orders.example.com\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: wss\r\nX-Forwarded-Uri: /live\r\n", "X-Forwarded-Method"},
	"Caddy": {"GET /verify?scope=orders:read HTTP/1.1\r\nHost: orders.example.com\r\nUser-Agent: curl/8.5.0\r\nContent-Length: 0\r\nAccept: */*\r\nX-Forwarded-For: 203.0.113.7\r\n" +
		"X-Forwarded-Host: orders.example.com\r\nX-Forwarded-Method: PUT\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Uri: /orders/1\r\nAccept-Encoding: gzip\r\n", "X-Forwarded-Method"},
	"Envoy": {"POST /verify/scope=orders:read&audience=https:%2F%2Forders.example.com/orders/%C3%A9?scope=orders:write HTTP/1.1\r\nhost: orders.example.com\r\ncontent-length: 0\r\n" +
		"x-envoy-internal: true\r\nx-forwarded-for: 10.0.0.1\r\nx-envoy-expected-rq-timeout-ms: 5000\r\n", PreflightByMethod},
	"Envoy, DELETE of the root": {"DELETE /verify/scope=orders:read&audience=https:%2F%2Forders.example.com/ HTTP/1.1\r\nhost: orders.example.com\r\ncontent-length: 0\r\n", PreflightByMethod},
	"nginx":                     {"GET /verify?scope=orders:read&audience=https://orders.example.com HTTP/1.1\r\nHost: grantor_gate\r\nX-Original-Method: POST\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n", "X-Original-Method"},
	"nginx, HTTP/1.0":           {"GET /verify?scope=orders:read HTTP/1.0\r\nHost: grantor_gate\r\nConnection: close\r\nX-Original-Method: POST\r\nUser-Agent: curl/8.5.0\r\n", "X-Original-Method"},
}

func TestShapes(t *testing.T) {
	for name, shape := range shapes {
		for _, preflight := range []string{PreflightNever, shape.preflight} {
			t.Run(name+", preflights by "+preflight, func(t *testing.T) {
				g, _ := newGate(t, func(c *Config) { c.Preflight = preflight })
				l, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				ctx, stop := context.WithCancel(context.Background())
				ended := make(chan error, 1)
				go func() { ended <- g.Serve(ctx, Listeners{Checks: l, Log: slog.New(slog.DiscardHandler)}) }()
				t.Cleanup(func() { stop(); require.NoError(t, <-ended) })
				ask := func(more string) (*http.Response, string) {
					c, err := net.Dial("tcp", l.Addr().String())
					require.NoError(t, err)
					defer c.Close()
					_ = c.SetDeadline(time.Now().Add(10 * time.Second))
					_, err = io.WriteString(c, shape.head+more+"\r\n")
					require.NoError(t, err)
					res, err := http.ReadResponse(bufio.NewReader(c), nil)
					require.NoError(t, err)
					defer res.Body.Close()
					body, err := io.ReadAll(res.Body)
					require.NoError(t, err)
					return res, string(body)
				}
				res, body := ask("Authorization: Bearer machine\r\n")
				require.Equal(t, 200, res.StatusCode, body)
				require.Equal(t, "m", res.Header.Get(HeaderSubject))
				require.Empty(t, body)
				res, _ = ask("")
				require.Equal(t, 401, res.StatusCode)
				require.Contains(t, res.Header.Get("WWW-Authenticate"), `scope="orders:read"`)
				res, body = ask("Authorization: Bearer odd2\r\n")
				require.Equal(t, 401, res.StatusCode)
				require.Contains(t, body, `"error":"invalid_token"`)
				res, _ = ask("Authorization: Bearer away\r\n")
				require.Equal(t, 503, res.StatusCode)
				require.NotEmpty(t, res.Header.Get("Retry-After"))
				res, _ = ask("Authorization: Bearer machine\r\nauthorization: Bearer machine\r\n")
				require.Equal(t, 400, res.StatusCode)
				res, _ = ask("Origin: https://a\r\nAccess-Control-Request-Method: POST\r\n")
				require.Equal(t, 401, res.StatusCode, "not OPTIONS")
			})
		}
	}
	t.Run("recipes and shapes have the same demand", func(t *testing.T) {
		require.Contains(t, deployed(t, "traefik/dynamic.yml"), "http://127.0.0.1:8082"+strings.Fields(shapes["Traefik"].head)[1])
		require.True(t, strings.HasPrefix(strings.Fields(shapes["Envoy"].head)[1], "/verify/scope=orders:read&audience=https:%2F%2Forders.example.com/"))
		require.Contains(t, deployed(t, "envoy/envoy.yaml"), `path_prefix: "/verify/scope=orders:read&audience=https:%2F%2Forders.example.com"`)
	})
}
