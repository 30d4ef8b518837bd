package server

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDemo: the secrets that the README prints work for what looks exactly like curl on this
// machine.
func TestDemo(t *testing.T) {
	f := start(t)
	addr := strings.TrimPrefix(f.URL, "http://")
	demo := authorization("demo:demo")
	require.Equal(t, 200, f.post(t, tokP, "demo:demo", ask).status)
	for _, h := range []string{"Host: auth.example.com", "Host: localhost", "Host: " + strings.Replace(addr, "127.0.0.1", "localhost", 1), "Host: 127.0.0.1", "Host: 127.0.0.1:1",
		"X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: ", "Forwarded: for=10.0.0.1", "X-Forwarded-Host: a", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443", "X-Forwarded-Server: a",
		"Via: 1.1 front", "X-Real-IP: 10.0.0.1", "X-Request-Start: t=1", "X-Request-Id: a", "Cf-Connecting-Ip: 10.0.0.1", "Cf-Ray: a", "Cdn-Loop: a", "True-Client-Ip: 10.0.0.1", "X-Envoy-Internal: true", "X-Amzn-Trace-Id: a",
		"X-Client-Ip: 10.0.0.1", "X-Original-Host: a", "X-Scheme: https", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "X-B3-Traceid: a", "Connection: close", "X-Unheard-Of: a"} {
		t.Run("S-67 not with "+h, func(t *testing.T) {
			refused(t, f.post(t, tokP, "demo:demo", ask, h), 401, codeInvalidClient)
		})
	}
	head := func(line, host string) string {
		return fmt.Sprintf("%s\r\nHost: %s\r\n%s\r\n%s\r\nContent-Length: %d\r\n\r\n%s", line, host, demo, formHeader, len(ask), ask)
	}
	for name, c := range map[string]struct {
		request string
		status  string
	}{
		"as curl writes it":                      {head("POST /oauth2/token HTTP/1.1", addr), "200"},
		"HTTP/1.0, as nginx's proxy_pass speaks": {head("POST /oauth2/token HTTP/1.0", addr), "401"},
		"the absolute form":                      {head("POST http://"+addr+"/oauth2/token HTTP/1.1", addr), "401"},
		"the absolute form of another host":      {head("POST http://auth.example.com/oauth2/token HTTP/1.1", addr), "401"},
	} {
		t.Run("S-67 "+name, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			defer conn.Close()
			_, err = conn.Write([]byte(c.request))
			require.NoError(t, err)
			answer := make([]byte, 12)
			_, err = conn.Read(answer)
			require.NoError(t, err)
			require.Equal(t, c.status, string(answer[9:]))
		})
	}
	t.Run("S-67 not from another machine", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader(ask))
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80})))
		r.Host = "192.0.2.1:80"
		require.False(t, f.server.straight(r))
	})
	t.Run("S-67 whose a connection is, is asked once a second", func(t *testing.T) {
		p, err := newPeerUsers()
		require.NoError(t, err)
		sides := [2]string{"127.0.0.1:1", addr}
		p.Add(sides, peerUser{another: true, until: time.Now().Add(time.Minute)})
		require.True(t, p.anotherUsers(sides[0], sides[1]))
		p.Add(sides, peerUser{another: true}) // long ago
		require.False(t, p.anotherUsers(sides[0], sides[1]), "nobody has this connection")
	})
}

func TestUserOfConnection(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 23131 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 23140 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000    33        0 23139 1 0000000000000000 20 4 30 10 -1
   4: 0000000000000000FFFF00000100007F:D432 0000000000000000FFFF00000100007F:1F90 01 00000000:00000000 00:00000000 00000000 35 0 1 1
   3: 00000000000000000000000001000000:D431 00000000000000000000000001000000:1F90 01 00000000:00000000 00:00000000 00000000 34 0 1 1
`
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the table above is of a little-endian machine")
	}
	server, client := netip.MustParseAddrPort("127.0.0.1:8080"), netip.MustParseAddrPort("127.0.0.1:54321")
	uid, found := userOf(table, client, server)
	require.True(t, found)
	require.Equal(t, 33, uid)
	uid, found = userOf(table, netip.MustParseAddrPort("[::1]:54321"), netip.MustParseAddrPort("[::1]:8080"))
	require.True(t, found)
	require.Equal(t, 34, uid)
	uid, found = userOf(table, in6(netip.MustParseAddrPort("127.0.0.1:54322")), in6(server))
	require.True(t, found, "a socket that serves both")
	require.Equal(t, 35, uid)
	_, found = userOf(table, netip.MustParseAddrPort("127.0.0.1:54323"), server)
	require.False(t, found)
}

// spellings are other ways to write a path, of which some reader may take each for the path itself.
func spellings(path string) (list []string) {
	for i := 1; i < len(path); i++ {
		list = append(list, path[:i]+fmt.Sprintf("%%%02x", path[i])+path[i+1:], path[:i]+fmt.Sprintf("%%%02X", path[i])+path[i+1:],
			path[:i]+fmt.Sprintf("%%25%02x", path[i])+path[i+1:])
		if path[i] == '/' || i == 1 {
			at := strings.LastIndexByte(path[:i+1], '/')
			for _, more := range []string{"/", "/.", "/./", "/x/..", "/%2e", "/%2e%2e/x/..", ";a=b", "/;", "/..;/x", "\\", "/\\", "%5c", "%00", "%20", "\t"} {
				list = append(list, path[:at]+more+path[at:])
			}
		}
	}
	for _, end := range []string{"/", "//", "/.", "/..", "/x/..", "%2f", "%2F.", ";a=b", ";", "%3b", "%20", "%00", ".", "#a", "%23", "\\", "?/..", "%3f", "+", ":", ",", "&a=b", "*"} {
		if !strings.HasPrefix(end, "?") {
			list = append(list, path+end)
		}
	}
	return append(list, strings.ToUpper(path), "/"+path, "//"+path, "/."+path, "/.."+path, "/x/.."+path, "/%2e"+path, "/%2f"+path[1:], "\\"+path)
}

func TestPathsHaveOneSpelling(t *testing.T) {
	f := start(t)
	front := NewFront(f.server, FrontConfig{HTTP1: true, Log: f.server.log}) // http1 and what it hands on
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = front.Serve(l) }()
	t.Cleanup(func() { _ = front.Close() })
	for name, at := range map[string]string{"net/http": strings.TrimPrefix(f.URL, "http://"), "http1": l.Addr().String()} {
		for _, path := range []string{"/oauth2/token", "/oauth2/introspect", "/healthz", "/.well-known/oauth-authorization-server"} {
			method := http.MethodPost
			if path[1] != 'o' {
				method = http.MethodGet
			}
			t.Run("S-44 V-30 "+name+" serves "+path+" under no other spelling", func(t *testing.T) {
				require.NotContains(t, []string{"404", "400"}, rawStatus(t, at, method, path)[:3], "as it is written")
				for _, other := range spellings(path) {
					if other == path || strings.ContainsAny(other, " \t") {
						continue
					}
					require.Contains(t, []string{"404", "400"}, rawStatus(t, at, method, other), other)
				}
				for range 300 { // of several at once
					other := mangle(path)
					require.Contains(t, []string{"404", "400"}, rawStatus(t, at, method, other), other)
				}
			})
		}
	}
}

// mangle writes some characters of a path as escapes.
func mangle(path string) string {
	var b strings.Builder
	escaped := false
	for i := range len(path) {
		if i > 0 && (rand.N(4) == 0 || i == len(path)-1 && !escaped) {
			fmt.Fprintf(&b, "%%%02x", path[i])
			escaped = true
			continue
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

// rawStatus is the status of a request whose target is sent as it stands.
func rawStatus(t *testing.T, addr, method, target string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	length := ""
	if method == http.MethodPost {
		length = fmt.Sprintf("Content-Length: %d\r\n", len(ask))
	}
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n%s\r\n", method, target, addr, formHeader, length)
	if length != "" {
		fmt.Fprint(conn, ask)
	}
	answer := make([]byte, 12)
	_, err = conn.Read(answer)
	require.NoError(t, err, target)
	return string(answer[9:])
}

func TestKnownHosts(t *testing.T) {
	names := []string{"grantor-1", "Admin.Example.com"}
	for host, known := range map[string]bool{
		"localhost": true, "localhost:9090": true, "LOCALHOST": true, "127.0.0.1:9090": true, "127.9.9.9": true, "[::1]:9090": true, "::1": true, "10.1.2.3:9090": true, "[2001:db8::1]": true, "": true,
		"grantor-1": true, "grantor-1:9090": true, "GRANTOR-1.": true, "admin.example.com:443": true,
		"evil.example": false, "evil.example:9090": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false, "grantor-1.evil.example": false, "0x7f000001": false, "2130706433": false, "127.1": false,
		"admin.example.com@evil.example": false, "grantor-2": false,
	} {
		require.Equal(t, known, KnownHost(host, names), host)
	}
	h := GuardHost(names, "[metrics] hosts", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	for _, c := range []struct {
		host, path string
		status     int
	}{{"127.0.0.1:9090", "/metrics", 200}, {"evil.example", "/metrics", 421}, {"evil.example", "/debug/pprof/heap", 421}, {"evil.example", "/healthz", 200}, {"evil.example", "/readyz", 200}} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		r.Host = c.host
		h.ServeHTTP(w, r)
		require.Equal(t, c.status, w.Code, c)
		if c.status == 421 {
			require.Contains(t, w.Body.String(), "[metrics] hosts")
		}
	}
}

func TestAdminURL(t *testing.T) {
	loopback, other := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8090}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 5), Port: 8090}
	for name, c := range map[string]struct {
		configured string
		local      net.Addr
		host       string
		tls        bool
		want       string // "": refused
	}{
		"configured: nothing else counts": {"https://admin.example.com/grantor", other, "evil.example", false, "https://admin.example.com/grantor"},
		"the listener's own address":      {"", loopback, "127.0.0.1:8090", false, "http://127.0.0.1:8090"},
		"localhost":                       {"", loopback, "localhost:8090", false, "http://localhost:8090"},
		"over TLS":                        {"", other, "10.0.0.5:8090", true, "https://10.0.0.5:8090"},
		"another name":                    {"", loopback, "evil.example", false, ""},
		"another port":                    {"", loopback, "127.0.0.1:80", false, ""},
		"another address":                 {"", loopback, "10.0.0.9:8090", false, ""},
		"localhost is not the name of another address": {"", other, "localhost:8090", true, ""},
		"off loopback in clear: TLS ended elsewhere":   {"", other, "10.0.0.5:8090", false, ""},
		"nobody knows where it came in":                {"", nil, "127.0.0.1:8090", false, ""},
	} {
		t.Run("RFC 7592 §3 registration_client_uri: "+name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/oauth2/register/x", nil)
			if r.Host = c.host; c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if c.local != nil {
				r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, c.local))
			}
			got, err := (&Server{cfg: Config{AdminURL: c.configured}}).adminURL(r)
			require.Equal(t, c.want, got)
			if c.want == "" {
				require.Equal(t, http.StatusMisdirectedRequest, asError(err).Status)
			}
		})
	}
}
