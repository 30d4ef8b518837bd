package faults_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// changed is the same deployment with other words in its file.
func (d *deployment) changed(t *testing.T, pairs ...string) *deployment {
	t.Helper()
	text, err := os.ReadFile(d.config)
	require.NoError(t, err)
	other := *d
	other.config = filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(other.config, []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o600))
	return &other
}

// fronts are proxies as people set them up to append the address of their peer. more stands where
// requests are routed.
func fronts() map[string]func(t *testing.T, to, more string) string {
	return map[string]func(t *testing.T, to, more string) string{
		"nginx": func(t *testing.T, to, more string) string {
			return frontEnd(t, "nginx", nginxHead+`
  server { listen 127.0.0.1:PORT; listen [::1]:PORT; `+more+` location / { proxy_pass http://`+to+`; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }
}
`, "-c")
		},
		"HAProxy": func(t *testing.T, to, more string) string {
			return frontEnd(t, "haproxy", haproxyHead+"  bind [::1]:PORT\n  option forwardfor\n"+more+"\n  default_backend b\nbackend b\n  server s "+to+"\n", "-db", "-f")
		},
		"Apache": apache,
	}
}

const nginxHead = `daemon off; master_process off; pid DIR/pid; error_log stderr;
events {}
http {
  access_log off; client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;`

const haproxyHead = `defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend f
  bind 127.0.0.1:PORT
`

func apache(t *testing.T, to, more string) string {
	var load strings.Builder
	for _, m := range []string{"mpm_event", "authz_core", "proxy", "proxy_http"} {
		fmt.Fprintf(&load, "LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", m)
	}
	user := ""
	if os.Getuid() == 0 {
		user = "User www-data\nGroup www-data\n"
	}
	return frontEnd(t, "apache2", load.String()+user+`ServerName localhost
PidFile DIR/pid
Mutex sem
ErrorLog /dev/stderr
Listen 127.0.0.1:PORT
Listen [::1]:PORT
`+more+`
ProxyPass / http://`+to+`/ nocanon
`, "-X", "-f")
}

// from asks a front from one of this machine's addresses. Headers are sent as they stand, a line
// each.
func from(t *testing.T, source, addr string, headers ...string) (requestID string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: 5 * time.Second}
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	host := "127.0.0.1"
	if strings.Contains(source, ":") {
		host = "::1"
	}
	conn, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
	require.NoError(t, err)
	defer conn.Close()
	lines := strings.Join(append(headers, ""), "\r\n")
	_, err = io.WriteString(conn, "POST /oauth2/token HTTP/1.1\r\nHost: auth.example.com\r\n"+lines+"Connection: close\r\nContent-Type: "+form+"\r\nContent-Length: 41\r\n\r\ngrant_type=client_credentials&client_id=x")
	require.NoError(t, err)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	m := regexp.MustCompile(`(?i)x-request-id: (\w+)`).FindSubmatch(text)
	require.NotNil(t, m, string(text))
	return string(m[1])
}

// peerOf is the address that the log gives to a request.
func (n *node) peerOf(t *testing.T, requestID string) (peer string) {
	t.Helper()
	line := regexp.MustCompile(`"msg":"request","request_id":"` + requestID + `".*"peer":"([^"]*)"`)
	require.Eventually(t, func() bool {
		m := line.FindStringSubmatch(n.Out.String())
		if m != nil {
			peer = m[1]
		}
		return m != nil
	}, 10*time.Second, 5*time.Millisecond)
	return peer
}

func TestAddressesBehindProxies(t *testing.T) {
	base := deploy(t, inMemory+"trusted_proxies = [\"127.0.0.1\"]\n").changed(t, `level = "warn"`, `level = "info"`)
	tried := 0
	for engine, d := range map[string]*deployment{"http1": base, "net/http": base.changed(t, "[server]\n", "[server]\nhttp1 = false\n")} {
		n := d.serve(t)
		for name, front := range fronts() {
			t.Run("S-18 V-29 behind "+name+" a client does not choose its address ("+engine+")", func(t *testing.T) {
				addr := front(t, n.Addr, "")
				for _, headers := range [][]string{
					nil,
					{"X-Forwarded-For: 203.0.113.7"},
					{"X-Forwarded-For: 203.0.113.7, 127.0.0.1"},
					{"X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 203.0.113.8"},
					{"x-forwarded-for: 203.0.113.7", "X-FORWARDED-FOR: [2001:db8::1]:80"},
					{"X-Forwarded-For: unknown, <script>"},
					{"X-Forwarded-For: "},
					{"X-Forwarded-For: ,"},
					{"X-Real-IP: 203.0.113.7", "Forwarded: for=203.0.113.7", "True-Client-IP: 203.0.113.7", "CF-Connecting-IP: 203.0.113.7"},
				} {
					require.Equal(t, "127.0.0.2", n.peerOf(t, from(t, "127.0.0.2", addr, headers...)), headers)
					require.Equal(t, "::1", n.peerOf(t, from(t, "::1", addr, headers...)), headers)
					tried += 2
				}
			})
		}
		t.Run("S-18 a trusted proxy that sends none, and one that sends ports ("+engine+")", func(t *testing.T) {
			require.Equal(t, "127.0.0.1", n.peerOf(t, from(t, "127.0.0.1", n.Addr)))
			require.Equal(t, "203.0.113.7", n.peerOf(t, from(t, "127.0.0.1", n.Addr, "X-Forwarded-For: 1.1.1.1, 203.0.113.7:51234")))
			require.Equal(t, "2001:db8::7", n.peerOf(t, from(t, "127.0.0.1", n.Addr, "X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: [2001:db8::7]:443")))
			require.Equal(t, "127.0.0.3", n.peerOf(t, from(t, "127.0.0.3", n.Addr, "X-Forwarded-For: 203.0.113.7")), "no proxy of ours")
			require.Contains(t, n.Out.String(), `"peer":"127.0.0.3","hint":"if it is your proxy: trusted_proxies = [\"127.0.0.3\"]"`)
		})
	}
	figure(t, "S-18", fmt.Sprintf("%d requests with forged addresses through nginx, HAProxy and Apache: 0 chose their address", tried), "0")
}

func TestPathRulesOfProxies(t *testing.T) {
	n := deploy(t, inMemory).serve(t)
	closed := map[string]string{
		"nginx":   "location = /oauth2/token { return 403; }",
		"HAProxy": "  http-request deny deny_status 403 if { path /oauth2/token }",
		"Apache":  "AllowEncodedSlashes NoDecode\n<Location /oauth2/token>\nRequire all denied\n</Location>",
	}
	for name, front := range fronts() {
		t.Run("S-44 a path that "+name+" refuses is reached by no other spelling", func(t *testing.T) {
			addr := front(t, n.Addr, closed[name])
			tried := 0
			for _, target := range []string{"/oauth2/token", "/oauth2%2ftoken", "/oauth2%2Ftoken", "/oauth2/%74oken", "/%6fauth2/token", "//oauth2/token", "/oauth2//token", "/oauth2/./token", "/./oauth2/token",
				"/x/../oauth2/token", "/oauth2/x/../token", "/oauth2/%2e/token", "/oauth2/%2e%2e/oauth2/token", "/oauth2/token;a=b", "/oauth2;a=b/token", "/oauth2/token%00", "/oauth2/token%20", "/oauth2/token/", "/oauth2/token/.",
				"/oauth2%252ftoken", "/oauth2/token%3f", "/oauth2/token%23", "/OAUTH2/TOKEN", "/oauth2\\token", "/oauth2%5ctoken", "/..;/oauth2/token", "/%2foauth2/token"} {
				tried++
				conn, err := net.Dial("tcp", addr)
				require.NoError(t, err)
				_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: 29\r\n\r\ngrant_type=client_credentials", target, form)
				require.NoError(t, err)
				_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
				text, err := io.ReadAll(conn)
				require.NoError(t, err)
				_ = conn.Close()
				require.Regexp(t, `^HTTP/1\.. (400|403|404) `, string(text), target)
			}
			figure(t, "S-44", fmt.Sprintf("%d spellings of a path that %s refuses: 0 reached the endpoint", tried, name), "0")
		})
	}
}

// TestDemoBehindProxies: a stranger comes through a proxy on this machine that somebody put in
// front of the demo.
func TestDemoBehindProxies(t *testing.T) {
	n := (&deployment{config: "../../config.toml"}).absolute(t).serve(t)
	var secret string
	require.Eventually(t, func() bool {
		m := regexp.MustCompile(`demo-machine:(gcs_[0-9A-Za-z]+)`).FindStringSubmatch(n.Out.String())
		if m != nil {
			secret = m[1]
		}
		return m != nil
	}, 10*time.Second, 5*time.Millisecond)
	machine := "grant_type=client_credentials&client_id=demo-machine&client_secret=" + secret
	ada := "grant_type=password&client_id=demo-app&username=ada&password=correct+horse+battery+staple"
	ask := func(addr, host, body string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/oauth2/token", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", form)
		req.Host = host
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		return res.StatusCode
	}
	require.Equal(t, 200, ask(n.Addr, n.Addr, machine))
	require.Equal(t, 200, ask(n.Addr, n.Addr, ada))
	bare := map[string]string{
		"nginx, a bare proxy_pass":       frontEnd(t, "nginx", nginxHead+"\n  server { listen 127.0.0.1:PORT; location / { proxy_pass http://"+n.Addr+"; } }\n}\n", "-c"),
		"nginx, HTTP/1.1":                frontEnd(t, "nginx", nginxHead+"\n  server { listen 127.0.0.1:PORT; location / { proxy_pass http://"+n.Addr+"; proxy_http_version 1.1; } }\n}\n", "-c"),
		"nginx, the client's Host":       frontEnd(t, "nginx", nginxHead+"\n  server { listen 127.0.0.1:PORT; location / { proxy_pass http://"+n.Addr+"; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $host; } }\n}\n", "-c"),
		"HAProxy":                        frontEnd(t, "haproxy", haproxyHead+"  default_backend b\nbackend b\n  server s "+n.Addr+"\n", "-db", "-f"),
		"HAProxy with option forwardfor": fronts()["HAProxy"](t, n.Addr, ""),
		"Apache":                         apache(t, n.Addr, ""),
	}
	tried := 0
	for name, addr := range bare {
		t.Run("S-67 the demo's secrets do not work through "+name, func(t *testing.T) {
			for _, host := range []string{"auth.example.com", "localhost", "127.0.0.1", addr} {
				require.Contains(t, []int{401, 429}, ask(addr, host, machine), host)
				require.Equal(t, 400, ask(addr, host, ada), host)
				tried += 2
			}
		})
	}
	t.Run("S-67 nor through one that changes nothing and runs as a user of its own", func(t *testing.T) {
		if os.Getuid() != 0 || runtime.GOOS != "linux" {
			t.Skip("another user is needed")
		}
		addr := frontEnd(t, "haproxy", "global\n  user www-data\n"+haproxyHead+"  default_backend b\nbackend b\n  server s "+n.Addr+"\n", "-db", "-f")
		require.Contains(t, []int{401, 429}, ask(addr, n.Addr, machine))
		require.Equal(t, 400, ask(addr, n.Addr, ada))
	})
	require.Equal(t, [2]int{200, 200}, [2]int{ask(n.Addr, n.Addr, machine), ask(n.Addr, n.Addr, ada)}, "and strangers lock nobody out")
	figure(t, "S-67", fmt.Sprintf("%d requests with the demo's secrets through nginx, HAProxy and Apache, %d ways: 0 let in", tried, len(bare)), "refuses")
}
