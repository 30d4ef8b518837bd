package integration_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func TestUnknownClientIDs(t *testing.T) {
	s := redistest.Start(t)
	d := deploy(t, redisStore(s))
	a, b := d.serve(t), d.serve(t)
	keys := func() int { return len(s.Client().Keys(t.Context(), "*").Val()) }
	before := keys()
	t.Run("S-54 of 3,000 random ids from one address a bound passes, and they leave few keys; S-15 right secrets pass", func(t *testing.T) {
		passed := 0
		for i := range 3000 {
			p := []*process{a, b}[i%2]
			switch r := post(t, p.URL+"/oauth2/token", fmt.Sprintf("stranger-%d", i), "x", clientCredentials); r.status {
			case 401:
				passed++
			case 429:
				require.NotEmpty(t, r.header.Get("Retry-After"))
			default:
				t.Fatal(r.status, r.body)
			}
		}
		require.LessOrEqual(t, passed, 16*(20+1), "20 a counter, and one more of the second node")
		require.LessOrEqual(t, keys()-before, 2*16, "of each counter, and of its note for the operator")
		for _, p := range []*process{a, b} {
			require.Equal(t, 429, post(t, p.URL+"/oauth2/token", "machine", "stale", clientCredentials).status)
			require.Equal(t, 200, post(t, p.URL+"/oauth2/token", "machine", d.machine, clientCredentials).status)
			d.introspect(t, p, d.token(t, p))
		}
	})
}

func TestPublicClientByBasic(t *testing.T) {
	d := withUsers(t, memoryStore, configUsers())
	p := d.serve(t)
	t.Run("§2.3.1 golang.org/x/oauth2 finds its way with a client that has no secret", func(t *testing.T) {
		for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams, oauth2.AuthStyleAutoDetect} {
			c := oauth2.Config{ClientID: "app", Endpoint: oauth2.Endpoint{TokenURL: p.URL + "/oauth2/token", AuthStyle: style}}
			token, err := c.PasswordCredentialsToken(t.Context(), "ada", adaPassword)
			require.NoError(t, err)
			require.NotEmpty(t, token.RefreshToken)
		}
		for range 30 { // with a secret that it does not have
			require.Equal(t, 401, post(t, p.URL+"/oauth2/token", "app", "x", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}).status)
		}
		require.Equal(t, 200, login(t, p, "ada", adaPassword).status)
	})
}

// speak sends a request line and a Host as they stand, and returns status and body.
func speak(t *testing.T, base, line, host string, headers ...string) (int, string) {
	t.Helper()
	u, err := url.Parse(base)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", u.Host)
	require.NoError(t, err)
	defer conn.Close()
	if u.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	_, err = io.WriteString(conn, line+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n"+strings.Join(append(headers, ""), "\r\n")+"\r\n")
	require.NoError(t, err)
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	var minor, status int
	_, err = fmt.Sscanf(string(text), "HTTP/1.%d %d", &minor, &status)
	require.NoError(t, err, string(text))
	_, body, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	return status, string(body)
}

func TestOperatorsListenersCheckHost(t *testing.T) {
	s := redistest.Start(t)
	d := operated(t, s, "admin.url = \"https://admin.example.com/grantor\"\nmetrics.hosts = [\"grantor-1\"]\nmetrics.pprof = true\n")
	p := d.serve(t)
	metrics, admin := p.where("Metrics"), p.where("The admin API")
	t.Run("S-18 a page that leads its name here (DNS rebinding) gets 421", func(t *testing.T) {
		for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap"} {
			status, body := speak(t, metrics, "GET "+path, "rebound.example:9090")
			require.Equal(t, 421, status)
			require.NotContains(t, body, "grantor_")
			for _, host := range []string{"localhost:9090", "127.0.0.1", "10.2.3.4:9090", "[::1]:9090", "grantor-1:9090"} {
				status, _ = speak(t, metrics, "GET "+path, host)
				require.Equal(t, 200, status, host)
			}
		}
		for _, host := range []string{"rebound.example", "admin.example.com.rebound.example"} {
			status, _ := speak(t, admin, "GET /admin/v1/clients", host)
			require.Equal(t, 421, status)
			status, _ = speak(t, admin, "POST /oauth2/register", host, "Content-Length: 0")
			require.Equal(t, 421, status)
		}
		status, _ := speak(t, admin, "GET /admin/v1/clients", "admin.example.com")
		require.Equal(t, 401, status)
		for _, base := range []string{metrics, admin} {
			status, _ = speak(t, base, "GET /healthz", "rebound.example")
			require.Equal(t, 200, status, "balancers send what they like")
		}
	})
	t.Run("V-30 S-44 their paths have one spelling", func(t *testing.T) {
		for base, paths := range map[string][]string{
			metrics: {"/%6detrics", "//metrics", "/./metrics", "/x/../metrics", "/metrics/", "/metrics;a", "/debug%2fpprof/", "/debug//pprof/heap", "/debug/pprof/../pprof/heap", "/debug/%70prof/heap", "/oauth2/token", "/oauth2%2ftoken"},
			admin:   {"/%61dmin/v1/clients", "/admin%2fv1/clients", "//admin/v1/clients", "/admin/./v1/clients", "/x/../admin/v1/clients", "/admin/v1/clients;a", "/admin/v1/clients/", "/oauth2%2fregister", "/oauth2/%72egister", "/oauth2/token"},
		} {
			for _, path := range paths {
				status, body := speak(t, base, "GET "+path, "localhost")
				require.Equal(t, 404, status, "%s: %s", path, body)
			}
		}
	})
	t.Run("RFC 7592 §3 registration_client_uri comes from [admin] url", func(t *testing.T) {
		r := d.register(t, p)
		require.Equal(t, 201, r.status, r.body)
		require.Equal(t, "https://admin.example.com/grantor/oauth2/register/"+r.text("client_id"), r.text("registration_client_uri"))
	})
}

// register registers a client by an initial token that it gets first.
func (d deployment) register(t *testing.T, p *process) (r reply) {
	t.Helper()
	secret := d.client(t, "registrar", "grantor:clients orders:read")
	within(t, func() bool {
		token := post(t, p.URL+"/oauth2/token", "registrar", secret, credentials("grantor:clients")).text("access_token")
		if token == "" {
			return false
		}
		r = p.ask(token, "POST", "/oauth2/register", map[string]any{"scope": "orders:read"})
		return true
	})
	return r
}

func TestListenersOffLoopback(t *testing.T) {
	s := redistest.Start(t)
	base := redisStore(s) + "issuer = \"https://auth.example.com\"\n"
	check := func(t *testing.T, text string) (int, string) {
		c := exec.Command(built(t, module), "config", "check", "--config", deploy(t, text).config)
		out, _ := c.CombinedOutput()
		return c.ProcessState.ExitCode(), string(out)
	}
	t.Run("TE-01 config check refuses every listener off loopback without TLS", func(t *testing.T) {
		for key, text := range map[string]string{
			"listen":         "listen = \"0.0.0.0:0\"\n",
			"admin.listen":   "admin.listen = \"0.0.0.0:0\"\n",
			"metrics.listen": "metrics.listen = \"[::]:0\"\nmetrics.pprof = true\n",
		} {
			status, out := check(t, base+text)
			require.Equal(t, 2, status, out)
			require.Contains(t, out, key+`: off loopback needs [tls] mode = "files", or "proxy"`)
			status, out = check(t, base+text+"tls.mode = \"proxy\"\n")
			require.Equal(t, 0, status, out)
		}
	})
	t.Run("TE-01 metrics off loopback are served over TLS, and so is the admin API", func(t *testing.T) {
		cert, key := certificate(t)
		d := deploy(t, base+fmt.Sprintf("tls = { mode = \"files\", cert_file = %q, key_file = %q }\nmetrics.listen = \"0.0.0.0:0\"\nadmin.listen = \"0.0.0.0:0\"\n", cert, key))
		p := run(t, built(t, module), nil, "serve", "--config", d.config, "--listen", "127.0.0.1:0")
		for _, name := range []string{"Metrics", "The admin API"} {
			addr := strings.NewReplacer("http://", "https://", "0.0.0.0", "127.0.0.1", "[::]", "127.0.0.1").Replace(p.where(name))
			status, _ := speak(t, addr, "GET /healthz", "localhost")
			require.Equal(t, http.StatusOK, status, name)
			status, _ = speak(t, strings.Replace(addr, "https", "http", 1), "GET /healthz", "localhost")
			require.NotEqual(t, http.StatusOK, status, name)
		}
	})
}

func TestDemoComesInByNoReload(t *testing.T) {
	d := deploy(t, memoryStore+"limits.client_failures = -1\n")
	p := d.serve(t)
	text, err := os.ReadFile(d.config)
	require.NoError(t, err)
	shipped, err := os.ReadFile("../config.toml")
	require.NoError(t, err)
	hash := regexp.MustCompile(`sha256:71bf[0-9a-f]+`).FindString(string(shipped))
	require.NotEmpty(t, hash)
	t.Run("S-67 a reload that brings the demo's secrets in is refused", func(t *testing.T) {
		replace(t, d.config, string(text)+"[[clients]]\nclient_id = \"demo\"\ngrant_types = [\"client_credentials\"]\nscope = \"orders:read\"\ndefault_scope = \"orders:read\"\nsecrets = [{ hash = \""+hash+"\" }]\n")
		within(t, func() bool {
			return strings.Contains(p.Log.String(), "a running Grantor does not take them in")
		})
		secret := regexp.MustCompile(`gcs_KllMi3\w+`).FindString(string(shipped))
		require.Equal(t, 401, post(t, p.URL+"/oauth2/token", "demo", secret, clientCredentials).status)
		require.Equal(t, 200, post(t, p.URL+"/oauth2/token", "machine", d.machine, clientCredentials).status)
	})
}
