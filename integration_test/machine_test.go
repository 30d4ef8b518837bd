package integration_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestGuideMachine follows docs/guides/machine.md.
func TestGuideMachine(t *testing.T) {
	onlyOnce(t)
	for program, required := range map[string]string{"curl": "", "jq": "", "node": "NODE", "python3": "PYTHON", "java": "JAVA"} {
		if required != "" {
			required = "GRANTOR_TEST_REQUIRE_" + required
		}
		needs(t, program, required)
	}
	guide{
		page:    "machine.md",
		here:    []string{"127.0.0.1:8080", freeAddr(t), "127.0.0.1:8081", freeAddr(t)},
		environ: goEnviron(t),
		programs: map[string]string{"grantor": built(t, module), "orders-api": built(t, module+"/examples/orders-api"),
			"python3": program(t, "python3", "GRANTOR_TEST_REQUIRE_PYTHON")},
	}.follow(t)
}

// needs skips a test where a program is not on PATH, unless a variable requires it.
func needs(t *testing.T, name, required string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		require.True(t, required == "" || os.Getenv(required) == "", "%s is not on PATH", name)
		t.Skip(name + " is not on PATH")
	}
}

// machineWire stands between a client and Grantor, and counts the questions to the token endpoint.
type machineWire struct {
	*lossy
	api *httptest.Server

	mu    sync.Mutex
	first string // the first token that came to the API
	again bool   // the API refuses the first token
}

func startMachineWire(t *testing.T, upstream string) *machineWire {
	t.Helper()
	w := &machineWire{lossy: startLossy(t, upstream)}
	w.api = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.first == "" {
			w.first = token
		}
		if token == "" || w.again && token == w.first {
			rw.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(w.api.Close)
	return w
}

// refuseFirst makes the API refuse the first token that comes.
func (w *machineWire) refuseFirst() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.again = true
}

// TestMachineClients holds the clients of docs/guides/machine.md to what the page says of them.
func TestMachineClients(t *testing.T) {
	onlyOnce(t)
	for name, c := range map[string]struct{ program, required, file string }{
		"Python": {"python3", "GRANTOR_TEST_REQUIRE_PYTHON", "client.py"},
		"Node":   {"node", "GRANTOR_TEST_REQUIRE_NODE", "client.mjs"},
		"Java":   {"java", "GRANTOR_TEST_REQUIRE_JAVA", "Client.java"},
		"Go":     {},
	} {
		t.Run(name, func(t *testing.T) {
			if c.program == "" {
				machineClient{srv: startTestServer(t), command: []string{built(t, module+"/examples/machine/go")}}.play(t)
				return
			}
			command := []string{program(t, c.program, c.required), absolute(t, "../examples/machine/"+c.file)}
			machineClient{srv: startTestServer(t), command: command}.play(t)
		})
	}
}

type machineClient struct {
	srv     *testServer
	command []string
}

// run runs the client against Grantor behind a wire, and returns what it wrote.
func (m machineClient) run(t *testing.T, w *machineWire, secret string) (out string, failed bool, took time.Duration) {
	t.Helper()
	c := exec.CommandContext(t.Context(), m.command[0], m.command[1:]...)
	c.Dir = t.TempDir()
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PYTHONDONTWRITEBYTECODE=1", "ISSUER=" + w.URL, "ORDERS=" + w.api.URL,
		"GRANTOR_CLIENT_ID=job:1", "GRANTOR_CLIENT_SECRET=" + secret}
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	begun := time.Now()
	err := c.Run()
	return strings.TrimSpace(said.String()), err != nil, time.Since(begun)
}

func (m machineClient) play(t *testing.T) {
	var client struct {
		Secret string `json:"client_secret"`
	}
	m.srv.do(t, "POST", "/clients", members{"client_id": "job:1", "scope": "orders:read"}, &client)
	seen.secret(client.Secret)
	t.Run("parallel callers share one request", func(t *testing.T) {
		w := startMachineWire(t, m.srv.URL)
		out, failed, _ := m.run(t, w, client.Secret)
		require.Equal(t, "200 200 200", out)
		require.False(t, failed)
		require.EqualValues(t, 1, w.asked.Load())
	})
	t.Run("RFC 6750 §3.1 after a 401 of the API the client gets one other token", func(t *testing.T) {
		w := startMachineWire(t, m.srv.URL)
		w.refuseFirst()
		out, _, _ := m.run(t, w, client.Secret)
		require.Equal(t, "200 200 200", out)
		require.EqualValues(t, 2, w.asked.Load())
	})
	t.Run("RFC 6749 §5.2 invalid_client is told and not repeated", func(t *testing.T) {
		w := startMachineWire(t, m.srv.URL)
		out, failed, _ := m.run(t, w, "gcs_wrong")
		require.True(t, failed)
		require.Contains(t, out, "no token: ")
		require.Contains(t, out, "invalid_client")
		require.LessOrEqual(t, w.asked.Load(), int64(3), "each of three callers once")
	})
	for _, status := range []int{429, 503} {
		t.Run("RFC 9110 §10.2.3 Retry-After is obeyed", func(t *testing.T) {
			w := startMachineWire(t, m.srv.URL)
			w.retryAfter.Store("3") // more than a client waits by itself
			m.srv.do(t, "POST", "/fail", members{"status": status, "requests": 1}, nil)
			out, _, took := m.run(t, w, client.Secret)
			require.Equal(t, "200 200 200", out)
			require.EqualValues(t, 2, w.asked.Load())
			require.GreaterOrEqual(t, took, 3*time.Second)
		})
	}
	t.Run("a lost answer is asked for again", func(t *testing.T) {
		w := startMachineWire(t, m.srv.URL)
		w.losing.Store(1)
		out, _, _ := m.run(t, w, client.Secret)
		require.Equal(t, "200 200 200", out)
		require.EqualValues(t, 2, w.asked.Load())
	})
}
