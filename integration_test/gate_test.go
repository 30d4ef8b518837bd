package integration_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fronted is an API behind a proxy that asks a gate.
type fronted struct {
	d     deployment
	issue *process // the authorization server
	gate  *process
	api   *protectedAPI
	proxy *proxyProcess
	token string // with orders:read

}

// proxies are the recipes of deploy/gate that run here.
var proxies = map[string]func(t *testing.T, gate, api string) *proxyProcess{
	"nginx":   nginxRecipe,
	"HAProxy": haproxyRecipe,
	"Apache":  apacheRecipe,
	"Caddy":   caddyRecipe,
	"Envoy":   envoyRecipe,
}

func envoyRecipe(t *testing.T, gate, api string) *proxyProcess {
	addr := freeAddress(t)
	dir := recipe(t, "envoy", "127.0.0.1, port_value: 8080", "127.0.0.1, port_value: "+portOf(addr),
		"127.0.0.1, port_value: 8081", "127.0.0.1, port_value: "+portOf(api), "127.0.0.1, port_value: 8082", "127.0.0.1, port_value: "+portOf(gate))
	return startProxy(t, addr, "envoy", "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "--config-path", filepath.Join(dir, "envoy.yaml"))
}

func portOf(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }

func haproxyRecipe(t *testing.T, gate, api string) *proxyProcess {
	addr := freeAddress(t)
	dir := recipe(t, "haproxy", "/etc/haproxy", "DIR", "127.0.0.1:8080", addr, "127.0.0.1:8082", gate, "127.0.0.1:8081", api)
	return startProxy(t, addr, "haproxy", "-db", "-f", filepath.Join(dir, "haproxy.cfg"))
}

func apacheRecipe(t *testing.T, gate, api string) *proxyProcess {
	if _, err := os.Stat("/usr/share/lua/5.3/socket.lua"); err != nil {
		require.NotEqual(t, "1", os.Getenv("GRANTOR_TEST_REQUIRE_PROXIES"), "lua-socket is not there")
		t.Skip("lua-socket is not there")
	}
	addr := freeAddress(t)
	dir := recipe(t, "apache", "/etc/apache2", "DIR", "127.0.0.1:8080", addr, "127.0.0.1:8082", gate, "127.0.0.1:8081", api)
	var main strings.Builder
	for _, m := range []string{"mpm_event", "authz_core", "proxy", "proxy_http", "setenvif", "lua"} {
		fmt.Fprintf(&main, "LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", m)
	}
	if os.Getuid() == 0 {
		main.WriteString("User www-data\nGroup www-data\n")
	}
	fmt.Fprintf(&main, "ServerName localhost\nPidFile %[1]s/pid\nMutex sem\nErrorLog /dev/stderr\nInclude %[1]s/orders.conf\n", dir)
	file := filepath.Join(dir, "httpd.conf")
	require.NoError(t, os.WriteFile(file, []byte(main.String()), 0o600))
	return startProxy(t, addr, "apache2", "-X", "-f", file)
}

func caddyRecipe(t *testing.T, gate, api string) *proxyProcess {
	addr := freeAddress(t)
	dir := recipe(t, "caddy", ":8080", addr[strings.LastIndex(addr, ":"):], "127.0.0.1:8082", gate, "127.0.0.1:8081", api)
	return startProxy(t, addr, "caddy", "run", "--adapter", "caddyfile", "--config", filepath.Join(dir, "Caddyfile"))
}

func nginxRecipe(t *testing.T, gate, api string) *proxyProcess {
	addr := freeAddress(t)
	dir := recipe(t, "nginx", "127.0.0.1:8080", addr, "127.0.0.1:8082", gate, "127.0.0.1:8081", api)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "grantor"), 0o755))
	for _, f := range []string{"grantor.conf", "grantor-headers.conf"} {
		require.NoError(t, os.Rename(filepath.Join(dir, f), filepath.Join(dir, "grantor", f)))
	}
	main := nginxMain(t, dir, "client_max_body_size 64m;\ninclude "+dir+"/orders.conf;\n")
	return startProxy(t, addr, "nginx", "-p", dir, "-c", main)
}

// nginxMain writes the configuration of an nginx that keeps everything in dir.
func nginxMain(t *testing.T, dir, http string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(`daemon off; master_process off; pid DIR/pid; error_log stderr info;
events {}
http {
  access_log off; client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
`, "DIR", dir)+http+"}\n"), 0o600))
	return file
}

// startGate runs a gate for the client "api".
func (d deployment) startGate(t *testing.T, issuer string, args ...string) *process {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(d.api+"\n"), 0o600))
	return run(t, built(t, module), nil, append([]string{"gate", "--issuer", issuer, "--client-id", "api", "--client-secret-file", secret,
		"--listen", "127.0.0.1:0"}, args...)...)
}

// issuing starts an authorization server whose issuer is where it listens.
func issuing(t *testing.T) (deployment, *process) {
	t.Helper()
	addr := freeAddress(t)
	d := deploy(t, memoryStore+"issuer = \"http://"+addr+"\"\n")
	return d, run(t, built(t, module), nil, "serve", "--config", d.config, "--listen", addr)
}

// front starts all of it.
func front(t *testing.T, name string, args ...string) *fronted {
	t.Helper()
	f := &fronted{api: startAPI(t)}
	f.d, f.issue = issuing(t)
	f.gate = f.d.startGate(t, f.issue.URL, args...)
	f.proxy = proxies[name](t, strings.TrimPrefix(f.gate.URL, "http://"), f.api.addr)
	f.token = f.d.token(t, f.issue)
	return f
}

// ask sends a request through the proxy. Headers stand a line each; with a token there is
// Authorization.
func (f *fronted) ask(t *testing.T, method, target, token string, headers ...string) (*http.Response, string) {
	t.Helper()
	if token != "" {
		headers = append(headers, "Authorization: Bearer "+token)
	}
	return rawAnswer(t, f.proxy.addr, method+" "+target+" HTTP/1.1\r\nHost: orders.example.com\r\nConnection: close\r\n"+strings.Join(append(headers, ""), "\r\n")+"\r\n")
}

func TestGateBehindProxies(t *testing.T) {
	for name := range proxies {
		t.Run(name, func(t *testing.T) {
			f := front(t, name)
			t.Run("a good token passes, and the API is told whose it is", f.passes)
			t.Run("RFC 6750 §3 refusals keep their status and challenge", f.refuses)
			t.Run("PR-01 PR-02 PR-03 RFC 9728 §3 the metadata of the API is found without a token", f.described)
			t.Run("what a client says of itself does not reach the API", f.forged)
			t.Run("methods, bodies and targets", f.requests)
			t.Run("WebSocket upgrades need a token", f.webSocket)
			t.Run("a preflight needs a token unless the gate is told otherwise", func(t *testing.T) {
				before := f.api.count()
				res, _ := f.preflight(t)
				require.Equal(t, 401, res.StatusCode)
				require.Equal(t, before, f.api.count())
			})
			t.Run("a gate whose issuer is away, and a gate that is away, are 503 with Retry-After", f.away)
		})
	}
}

func (f *fronted) passes(t *testing.T) {
	before := f.api.count()
	res, body := f.ask(t, "GET", "/orders", f.token)
	require.Equal(t, 200, res.StatusCode, body)
	require.Equal(t, "hello machine", body)
	r, _ := f.api.last(t, before+1)
	h := r.Header
	require.Equal(t, []string{"machine"}, h.Values("Grantor-Subject"))
	require.Equal(t, []string{"client"}, h.Values("Grantor-Subject-Type"))
	require.Equal(t, []string{"machine"}, h.Values("Grantor-Client-Id"))
	require.Equal(t, []string{"orders:read"}, h.Values("Grantor-Scope"))
	require.Regexp(t, `^\d{10}$`, h.Get("Grantor-Expires"))
	require.Empty(t, h.Get("Grantor-Session"), "a machine has none")
	require.Empty(t, h.Get("Grantor-Identity"), "the gate signs none")
	for i := range 20 {
		res, body := f.ask(t, "GET", "/orders", f.token)
		require.Equal(t, 200, res.StatusCode, "%d %s", i, body)
	}
}

// described asks for the metadata that challenges name. What a client adds to the path changes
// nothing.
func (f *fronted) described(t *testing.T) {
	before := f.api.count()
	for _, query := range []string{"", "?resource=https://evil.example.com", "?", "?scope=a&name=b"} {
		res, body := f.ask(t, "GET", "/.well-known/oauth-protected-resource"+query, "")
		require.Equal(t, 200, res.StatusCode, body)
		require.Contains(t, res.Header.Get("Content-Type"), "application/json")
		require.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"))
		require.JSONEq(t, `{"resource":"https://orders.example.com","authorization_servers":["`+f.issue.URL+`"],"scopes_supported":["orders:read","orders:write"],"bearer_methods_supported":["header"]}`, body)
	}
	require.Equal(t, before, f.api.count())
}

func (f *fronted) refuses(t *testing.T) {
	before := f.api.count()
	ended := f.d.token(t, f.issue)
	require.Equal(t, 200, post(t, f.issue.URL+"/oauth2/revoke", "machine", f.d.machine, map[string][]string{"token": {ended}}).status)
	for title, c := range map[string]struct {
		method    string
		headers   []string
		status    int
		challenge string
	}{
		"no token":          {"GET", nil, 401, `^Bearer scope="orders:read", resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource"$`},
		"another scheme":    {"GET", []string{"Authorization: Basic bWFjaGluZTp4"}, 401, `^Bearer scope="orders:read", resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource"$`},
		"an unknown token":  {"GET", []string{"Authorization: Bearer gat_unknown"}, 401, `^Bearer error="invalid_token", error_description="[^"]+", scope="orders:read", resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource"$`},
		"a revoked token":   {"GET", []string{"Authorization: Bearer " + ended}, 401, `^Bearer error="invalid_token", .*scope="orders:read", resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource"$`},
		"a missing scope":   {"POST", []string{"Authorization: Bearer " + f.token, "Content-Length: 0"}, 403, `^Bearer error="insufficient_scope", .*scope="orders:write", resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource"$`},
		"a malformed token": {"GET", []string{"Authorization: Bearer a b"}, 400, `^Bearer error="invalid_request", .*`},
	} {
		t.Run(title, func(t *testing.T) {
			res, body := f.ask(t, c.method, "/orders", "", c.headers...)
			require.Equal(t, c.status, res.StatusCode, body)
			require.Len(t, res.Header.Values("WWW-Authenticate"), 1)
			require.Regexp(t, c.challenge, res.Header.Get("WWW-Authenticate"))
			require.Contains(t, res.Header.Get("Content-Type"), "application/json")
			require.Contains(t, body, `"error`)
			require.Contains(t, res.Header.Get("Cache-Control"), "no-store")
		})
	}
	t.Run("two tokens, which some proxies refuse by themselves", func(t *testing.T) {
		res, _ := f.ask(t, "GET", "/orders", f.token, "Authorization: Bearer "+ended)
		require.Equal(t, 400, res.StatusCode)
		res, _ = f.ask(t, "GET", "/orders", ended, "Authorization: Bearer "+f.token)
		require.Equal(t, 400, res.StatusCode)
	})
	require.Equal(t, before, f.api.count(), "no refused request reaches the API")
	t.Run("the API's own 401 stays", func(t *testing.T) {
		res, body := f.ask(t, "GET", "/orders", f.token, "X-Refuse: 1")
		require.Equal(t, 401, res.StatusCode)
		require.Equal(t, "the API's own 401", body)
		require.Equal(t, []string{`Bearer realm="the api's own"`}, res.Header.Values("WWW-Authenticate"))
	})
}

// forged sends headers by which a client would be somebody else.
func (f *fronted) forged(t *testing.T) {
	forgeries := []string{"Grantor-Subject: root", "grantor-subject-type: user", "GRANTOR-CLIENT-ID: root", "Grantor-Scope: orders:write", "Grantor-Session: s", "Grantor-Expires: 9999999999",
		"Grantor-Claims: root", "Grantor-Identity: e30.e30.e30", "Grantor_Claims: root", "Grantor_Subject: root", "grantor_scope: root"}
	before := f.api.count()
	res, body := f.ask(t, "GET", "/orders", f.token, forgeries...)
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "hello machine", body)
	none := func(t *testing.T, r *http.Request) {
		for name, values := range r.Header {
			for _, v := range values {
				require.NotContains(t, v, "root", name)
				require.NotContains(t, []string{"user", "orders:write", "s", "9999999999", "e30.e30.e30"}, v, name)
			}
		}
	}
	r, _ := f.api.last(t, before+1)
	none(t, r)
	t.Run("on an open route neither", func(t *testing.T) {
		res, _ := f.ask(t, "GET", "/healthz", "", forgeries...)
		require.Equal(t, 200, res.StatusCode)
		none(t, f.api.open)
	})
}

func (f *fronted) requests(t *testing.T) {
	both := post(t, f.issue.URL+"/oauth2/token", "machine", f.d.machine, credentials("orders:read orders:write")).text("access_token")
	for _, method := range []string{"HEAD", "GET", "OPTIONS"} {
		before := f.api.count()
		res, _ := f.ask(t, method, "/orders", f.token)
		require.Equal(t, 200, res.StatusCode, method)
		r, _ := f.api.last(t, before+1)
		require.Equal(t, method, r.Method)
	}
	t.Run("a large body arrives whole", func(t *testing.T) {
		before, size := f.api.count(), 5<<20
		res, body := rawAnswer(t, f.proxy.addr, fmt.Sprintf("POST /orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", both, size, strings.Repeat("x", size)))
		require.Equal(t, 200, res.StatusCode, body)
		r, n := f.api.last(t, before+1)
		require.Equal(t, "POST", r.Method)
		require.Equal(t, int64(size), n)
	})
	t.Run("chunks arrive whole", func(t *testing.T) {
		before := f.api.count()
		res, body := rawAnswer(t, f.proxy.addr, "PATCH /orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "+both+"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
		require.Equal(t, 200, res.StatusCode, body)
		_, n := f.api.last(t, before+1)
		require.Equal(t, int64(5), n)
	})
	t.Run("no target changes the demand", func(t *testing.T) {
		for _, target := range []string{"/orders?scope=orders:read&any=orders:read&audience=x", "/orders?%0d%0aGrantor-Subject:root", "/orders/%2e%2e/orders?a=%00", "/orders/a%3Fscope=orders:read", "/orders/%26any=x;y=z",
			"/orders?a='\"<>", "/orders/%C3%A9?%ff", "/orders/a\"b", "/orders/a{b}|c", "/orders/a<b", "/orders/a^b`"} {
			before := f.api.count()
			res, _ := f.ask(t, "POST", target, f.token, "Content-Length: 0")
			require.Contains(t, []int{400, 403}, res.StatusCode, target)
			require.Equal(t, before, f.api.count(), target)
			res, _ = f.ask(t, "GET", target, f.token)
			require.Contains(t, []int{200, 400}, res.StatusCode, target)
		}
	})
	t.Run("RFC 9700 §4.3.2 a token in the query is none", func(t *testing.T) {
		res, _ := f.ask(t, "GET", "/orders?access_token="+f.token, "")
		require.Equal(t, 401, res.StatusCode)
	})
}

const upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func (f *fronted) webSocket(t *testing.T) {
	before := f.api.count()
	res, _ := rawAnswer(t, f.proxy.addr, "GET /live HTTP/1.1\r\nHost: x\r\n"+upgrade+"\r\n")
	require.Equal(t, 401, res.StatusCode)
	require.Equal(t, before, f.api.count())
	c, err := net.Dial("tcp", f.proxy.addr)
	require.NoError(t, err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = io.WriteString(c, "GET /live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+f.token+"\r\nGrantor-Subject: root\r\n"+upgrade+"\r\n")
	require.NoError(t, err)
	in := bufio.NewReader(c)
	answer, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	require.Equal(t, 101, answer.StatusCode)
	_, err = io.WriteString(c, "ping\n")
	require.NoError(t, err)
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "echo ping\n", line)
	r, _ := f.api.last(t, before+1)
	require.Equal(t, []string{"machine"}, r.Header.Values("Grantor-Subject"))
}

// preflight is what a browser sends before it asks a foreign API (Fetch §3.2.2).
func (f *fronted) preflight(t *testing.T, more ...string) (*http.Response, string) {
	t.Helper()
	return f.ask(t, "OPTIONS", "/orders", "", append(more, "Origin: https://app.example.com", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization")...)
}

func (f *fronted) away(t *testing.T) {
	before := f.api.count()
	unavailable := func() {
		t.Helper()
		res, body := f.ask(t, "GET", "/orders", f.token)
		require.Equal(t, 503, res.StatusCode, body)
		require.Regexp(t, `^\d+$`, res.Header.Get("Retry-After"))
		require.Empty(t, res.Header.Get("WWW-Authenticate"))
		require.Contains(t, body, "temporarily_unavailable")
	}
	require.Zero(t, f.issue.stop(termination))
	within(t, func() bool { // what the gate remembers it may use until its lease ends
		res, _ := f.ask(t, "GET", "/orders", f.token)
		return res.StatusCode != 200
	})
	at := f.api.count()
	unavailable()
	require.Zero(t, f.gate.stop(termination))
	unavailable()
	require.Equal(t, at, f.api.count())
	require.GreaterOrEqual(t, at, before)
}

// TestGateLive: a check asks nobody, and a revoked token is refused all the same.
func TestGateLive(t *testing.T) {
	f := front(t, "nginx", "--metrics-listen", "127.0.0.1:0")
	count := func(name string) (n float64) {
		res, err := http.Get(f.gate.where("Metrics") + "/metrics")
		require.NoError(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		_, rest, found := strings.Cut(string(text), "\n"+name+" ")
		require.True(t, found, name)
		_, err = fmt.Sscan(rest, &n)
		require.NoError(t, err)
		return n
	}
	require.Equal(t, 200, f.status(t)) // the first check begins the polls
	within(t, func() bool { return count("grantor_gate_feed_fresh") == 1 })
	require.Equal(t, 200, f.status(t))
	asked := count("grantor_gate_questions_total")
	for range 50 {
		require.Equal(t, 200, f.status(t))
	}
	require.LessOrEqual(t, count("grantor_gate_questions_total"), asked+2, "a token is asked about once")
	require.GreaterOrEqual(t, count("grantor_gate_answers_from_memory_total"), 48.0)
	require.Equal(t, 200, post(t, f.issue.URL+"/oauth2/revoke", "machine", f.d.machine, map[string][]string{"token": {f.token}}).status)
	ended := time.Now()
	for f.status(t) == 200 {
		require.Less(t, time.Since(ended), time.Second, "the lease")
	}
	t.Logf("refused %s after the revocation was answered", time.Since(ended).Round(time.Millisecond))
	res, _ := f.ask(t, "GET", "/orders", f.token)
	require.Equal(t, 401, res.StatusCode)
	require.Contains(t, res.Header.Get("WWW-Authenticate"), "invalid_token")
	t.Run("--live=false asks each time", func(t *testing.T) {
		gate := f.d.startGate(t, f.issue.URL, "--live=false")
		token := f.d.token(t, f.issue)
		check := func() int {
			res, _ := rawAnswer(t, strings.TrimPrefix(gate.URL, "http://"), "GET /verify?scope=orders:read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "+token+"\r\n\r\n")
			return res.StatusCode
		}
		require.Equal(t, 200, check())
		require.Equal(t, 200, post(t, f.issue.URL+"/oauth2/revoke", "machine", f.d.machine, map[string][]string{"token": {token}}).status)
		require.Equal(t, 401, check(), "at once")
	})
}

// status is what a request with the token is answered.
func (f *fronted) status(t *testing.T) int {
	t.Helper()
	res, _ := f.ask(t, "GET", "/orders", f.token)
	return res.StatusCode
}

func TestGatePreflight(t *testing.T) {
	for name := range proxies {
		t.Run(name, func(t *testing.T) {
			f := front(t, name, "--allow-preflight", preflightHeader[name])
			before := f.api.count()
			res, body := f.preflight(t)
			require.Equal(t, 200, res.StatusCode, body)
			r, _ := f.api.last(t, before+1)
			require.Equal(t, "OPTIONS", r.Method)
			require.Empty(t, r.Header.Get("Grantor-Subject"))
			t.Run("a client cannot call another request one", func(t *testing.T) {
				before := f.api.count()
				for _, forged := range [][]string{{"X-Forwarded-Method: OPTIONS"}, {"X-Original-Method: OPTIONS"}, {"X-Original-Method: OPTIONS", "X-Forwarded-Method: OPTIONS", "X-HTTP-Method-Override: OPTIONS"}} {
					for _, method := range []string{"GET", "POST"} {
						res, body := f.ask(t, method, "/orders", "", append(forged, "Content-Length: 0", "Origin: https://app.example.com", "Access-Control-Request-Method: POST")...)
						require.Equal(t, 401, res.StatusCode, "%s %s %s", method, forged, body)
					}
				}
				res, _ := f.ask(t, "OPTIONS", "/orders", "")
				require.Equal(t, 401, res.StatusCode, "OPTIONS that is no preflight")
				res, _ = f.preflight(t, "Authorization: Bearer gat_unknown")
				require.Equal(t, 401, res.StatusCode, "a token that came is checked")
				require.Equal(t, before, f.api.count())
			})
			res, _ = f.ask(t, "GET", "/orders", f.token)
			require.Equal(t, 200, res.StatusCode)
		})
	}
}

// preflightHeader is what each recipe says the method in.
var preflightHeader = map[string]string{"nginx": "X-Original-Method", "HAProxy": "X-Original-Method", "Apache": "X-Original-Method", "Caddy": "X-Forwarded-Method",
	"Envoy": "method"}
