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
	"Traefik": {"GET /verify?scope=orders:read&resource=https://orders.example.com HTTP/1.1\r\nHost: 127.0.0.1:8082\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n" +
		"Content-Type: application/json\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Host: orders.example.com\r\nX-Forwarded-Method: POST\r\nX-Forwarded-Proto: https\r\n" +
		"X-Forwarded-Uri: /orders?scope=orders:write&a=%20\r\nAccept-Encoding: gzip\r\n", "X-Forwarded-Method"},
	"Traefik, a WebSocket": {"GET /verify?scope=orders:read&resource=https://orders.example.com HTTP/1.1\r\nHost: 127.0.0.1:8082\r\nSec-Websocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-Websocket-Version: 13\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Host: orders.example.com\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: wss\r\nX-Forwarded-Uri: /live\r\n", "X-Forwarded-Method"},
	"Caddy": {"GET /verify?scope=orders:read HTTP/1.1\r\nHost: orders.example.com\r\nUser-Agent: curl/8.5.0\r\nContent-Length: 0\r\nAccept: */*\r\nX-Forwarded-For: 203.0.113.7\r\n" +
		"X-Forwarded-Host: orders.example.com\r\nX-Forwarded-Method: PUT\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Uri: /orders/1\r\nAccept-Encoding: gzip\r\n", "X-Forwarded-Method"},
	"Envoy": {"POST /verify/scope=orders:read&resource=https:%2F%2Forders.example.com/orders/%C3%A9?scope=orders:write HTTP/1.1\r\nhost: orders.example.com\r\ncontent-length: 0\r\n" +
		"x-envoy-internal: true\r\nx-forwarded-for: 10.0.0.1\r\nx-envoy-expected-rq-timeout-ms: 5000\r\n", PreflightByMethod},
	"Envoy, DELETE of the root": {"DELETE /verify/scope=orders:read&resource=https:%2F%2Forders.example.com/ HTTP/1.1\r\nhost: orders.example.com\r\ncontent-length: 0\r\n", PreflightByMethod},
	"nginx":                     {"GET /verify?scope=orders:read&resource=https://orders.example.com HTTP/1.1\r\nHost: grantor_gate\r\nX-Original-Method: POST\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n", "X-Original-Method"},
	"nginx, HTTP/1.0":           {"GET /verify?scope=orders:read HTTP/1.0\r\nHost: grantor_gate\r\nConnection: close\r\nX-Original-Method: POST\r\nUser-Agent: curl/8.5.0\r\n", "X-Original-Method"},
}

// listening serves a gate, and returns what sends it the head of a request, without its last line.
func listening(t *testing.T, change func(*Config)) func(head string) (*http.Response, string) {
	t.Helper()
	g, _ := newGate(t, change)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, Listeners{Checks: l, Log: slog.New(slog.DiscardHandler)}) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-ended) })
	return func(head string) (*http.Response, string) {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, err = io.WriteString(c, head+"\r\n")
		require.NoError(t, err)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res, string(body)
	}
}

func TestShapes(t *testing.T) {
	for name, shape := range shapes {
		for _, preflight := range []string{PreflightNever, shape.preflight} {
			t.Run(name+", preflights by "+preflight, func(t *testing.T) {
				send := listening(t, func(c *Config) { c.Preflight = preflight })
				ask := func(more string) (*http.Response, string) { return send(shape.head + more) }
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
		require.True(t, strings.HasPrefix(strings.Fields(shapes["Envoy"].head)[1], "/verify/scope=orders:read&resource=https:%2F%2Forders.example.com/"))
		require.Contains(t, deployed(t, "envoy/envoy.yaml"), `path_prefix: "/verify/scope=orders:read&resource=https:%2F%2Forders.example.com"`)
	})
}

// TestDemandAsSent: a character that a URL should not have, in the client's part of the path, does
// not change the demand before it.
func TestDemandAsSent(t *testing.T) {
	send := listening(t, func(*Config) {})
	for _, odd := range []string{"", "/", "/x", `/"`, "/{a}", "/a|b", "/a^b", "/a<b>", "/a`b", `/a\b`, "/\xc3\xa9", "/%2F\""} {
		for demand, status := range map[string]int{
			"scope=orders:read":                                            200,
			"scope=orders:write":                                           403,
			"any=orders:read+a%2Fb&scope=orders:write":                     403,
			"scope=orders:read%2Fall":                                      403,
			"any=orders:read+a%2Fb&resource=https:%2F%2Fother.example.com": 401,
		} {
			res, body := send("POST /verify/" + demand + odd + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nAuthorization: Bearer machine\r\n")
			require.Equal(t, status, res.StatusCode, "%s %q: %s", demand, odd, body)
		}
	}
}

// described is the path of the description in the recipes of Traefik and Envoy.
const described = "/metadata/resource=https:%2F%2Forders.example.com&scope=orders:read+orders:write"

// metadataShapes are requests for the metadata of an API as proxies pass them on: Traefik's
// replacePath and Envoy's prefix_rewrite leave the client's query behind the path.
var metadataShapes = map[string]string{
	"Traefik": "GET " + described + "?resource=https://evil.example.com HTTP/1.1\r\nHost: orders.example.com\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nX-Forwarded-For: 203.0.113.7\r\n" +
		"X-Forwarded-Host: orders.example.com\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Server: proxy\r\nX-Real-Ip: 203.0.113.7\r\n" +
		"X-Replaced-Path: /.well-known/oauth-protected-resource\r\nAccept-Encoding: gzip\r\n",
	"Traefik, without a query": "GET " + described + " HTTP/1.1\r\nHost: orders.example.com\r\nUser-Agent: curl/8.5.0\r\nX-Replaced-Path: /.well-known/oauth-protected-resource\r\n",
	"Envoy": "GET " + described + "?resource=https://evil.example.com HTTP/1.1\r\nhost: orders.example.com\r\nuser-agent: curl/8.5.0\r\naccept: */*\r\nx-forwarded-proto: https\r\n" +
		"x-request-id: 2e1f4a9c-0b3d-4e0e-9a55-5a1d5d0f6c11\r\nx-envoy-original-path: /.well-known/oauth-protected-resource?resource=https://evil.example.com\r\nx-envoy-expected-rq-timeout-ms: 15000\r\n",
}

func TestMetadataShapes(t *testing.T) {
	send := listening(t, func(c *Config) { c.Issuer = "https://auth.example.com" })
	for name, head := range metadataShapes {
		t.Run("PR-01 PR-02 PR-03 RFC 9728 §3.2 "+name, func(t *testing.T) {
			res, body := send(head)
			require.Equal(t, []any{200, "application/json"}, []any{res.StatusCode, res.Header.Get("Content-Type")}, body)
			require.JSONEq(t, `{"resource":"https://orders.example.com","authorization_servers":["https://auth.example.com"],
				"scopes_supported":["orders:read","orders:write"],"bearer_methods_supported":["header"]}`, body)
		})
		t.Run("RFC 9728 §3.1 "+name+", by POST", func(t *testing.T) {
			res, _ := send(strings.Replace(head, "GET", "POST", 1) + "Content-Length: 0\r\n")
			require.Equal(t, 405, res.StatusCode)
		})
	}
	t.Run("PR-04 RFC 9728 §5.1 the challenge names what the recipes serve, and a token for the resource passes", func(t *testing.T) {
		for _, name := range []string{"Traefik", "Envoy"} {
			res, _ := send(shapes[name].head)
			require.Contains(t, res.Header.Get("WWW-Authenticate"), `resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource"`)
		}
	})
	t.Run("recipes and shapes have the same description, without a check of the token", func(t *testing.T) {
		require.Contains(t, deployed(t, "traefik/dynamic.yml"), `path: "`+described+`"`)
		require.Contains(t, deployed(t, "envoy/envoy.yaml"), `prefix_rewrite: "`+described+`"`)
		require.Contains(t, deployed(t, "envoy/envoy.yaml"), "ExtAuthzPerRoute, disabled: true")
	})
}
