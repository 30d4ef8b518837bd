package integration_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMobileTypeScript: the tests of the recipe, compiled and run as its package.json says.
func TestMobileTypeScript(t *testing.T) {
	dir := npmFolder(t, "mobile/typescript")
	require.Contains(t, inFolder(t, dir, nil, "npm", "test"), "pass 15\n")
}

// lossy stands between an app and Grantor: it counts questions to the token endpoint, and loses
// answers.
type lossy struct {
	*httptest.Server
	asked, losing atomic.Int64
	retryAfter    atomic.Value // a string, of every answer that is no 200; none: what Grantor says
}

func startLossy(t *testing.T, upstream string) *lossy {
	t.Helper()
	to, err := url.Parse(upstream)
	require.NoError(t, err)
	w := &lossy{}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(r *http.Response) error {
		if after, ok := w.retryAfter.Load().(string); ok && r.StatusCode != http.StatusOK {
			r.Header.Set("Retry-After", after)
		}
		return nil
	}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth2/token" {
			w.asked.Add(1)
		}
		if w.losing.Load() == 0 {
			proxy.ServeHTTP(rw, r)
			return
		}
		w.losing.Add(-1)
		proxy.ServeHTTP(httptest.NewRecorder(), r) // Grantor has answered, and nobody hears it
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(w.Close)
	return w
}

// introspecting is an API that asks Grantor about each token.
func introspecting(t *testing.T, srv *testServer) *httptest.Server {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		about, err := tryPost(r.Context(), srv.URL+"/oauth2/introspect", srv.about.API.ID, srv.about.API.Secret, url.Values{"token": {token}})
		if err != nil || about.json["active"] != true {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(api.Close)
	return api
}

// played is an app that takes commands from standard input.
type played struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

func play(t *testing.T, dir string, environ []string, command ...string) played {
	t.Helper()
	c := exec.CommandContext(t.Context(), command[0], command[1:]...)
	c.Dir, c.Env, c.Stderr = dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, environ...), os.Stderr
	in, err := c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() { _ = in.Close(); _ = c.Wait() })
	return played{t, in, bufio.NewScanner(out)}
}

func (p played) does(command string) string {
	p.t.Helper()
	_, err := io.WriteString(p.in, command+"\n")
	require.NoError(p.t, err)
	require.True(p.t, p.out.Scan(), "no answer to %s", command)
	return p.out.Text()
}

// TestMobileKotlin compiles the recipe and plays it on the JVM.
func TestMobileKotlin(t *testing.T) {
	program(t, "java", "GRANTOR_TEST_REQUIRE_JAVA")
	program(t, "mvn", "GRANTOR_TEST_REQUIRE_JAVA")
	dir := prepared(t, "mobile/kotlin", "GRANTOR_TEST_REQUIRE_JAVA", "mvn", "-q", "-B", "package")
	srv := startTestServer(t)
	wire, api := startLossy(t, srv.URL), introspecting(t, srv)
	srv.do(t, "POST", "/users", members{"sub": "u-1", "username": "ada", "password": "correct horse", "scope": "orders:read"}, nil)
	app := play(t, dir, []string{"ISSUER=" + wire.URL, "CLIENT_ID=grantortest-app", "API=" + api.URL},
		"java", "-XX:TieredStopAtLevel=1", "-cp", "target/session-1.jar:target/dependency/*", "PlayKt")

	require.Equal(t, "LoggedOut", app.does("get"))
	require.Equal(t, "LoggedOut", app.does("login wrong"))
	require.Equal(t, "in", app.does("login correct horse"))
	require.Equal(t, "200", app.does("get"))
	require.Equal(t, "IOException", app.does("abroad"), "the token goes to the API alone")
	t.Run("parallel requests refresh once", func(t *testing.T) {
		srv.do(t, "POST", "/clock", members{"advance": "16m"}, nil)
		wire.asked.Store(0)
		require.Equal(t, "200", app.does("parallel"))
		require.EqualValues(t, 1, wire.asked.Load())
	})
	t.Run("a refresh whose answer was lost is repeated with the same token", func(t *testing.T) {
		app.does("restart")
		wire.asked.Store(0)
		wire.losing.Store(1)
		require.Equal(t, "200", app.does("get"))
		require.EqualValues(t, 2, wire.asked.Load())
	})
	t.Run("without any answer the session stands", func(t *testing.T) {
		app.does("restart")
		wire.losing.Store(3)
		require.Equal(t, "Unavailable", app.does("get"))
		srv.do(t, "POST", "/fail", members{"requests": 1}, nil)
		require.Equal(t, "200", app.does("get"))
	})
	t.Run("a log-out ends it", func(t *testing.T) {
		require.Equal(t, "null", app.does("logout"))
		require.Equal(t, "LoggedOut", app.does("get"))
	})
	t.Run("a user who is gone is logged out", func(t *testing.T) {
		require.Equal(t, "in", app.does("login correct horse"))
		app.does("restart")
		srv.do(t, "DELETE", "/users/u-1", nil, nil)
		require.Equal(t, "LoggedOut", app.does("get"))
	})
}
