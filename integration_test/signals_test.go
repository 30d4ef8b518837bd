package integration_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/processtest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// hangUp sends many requests at once and closes or resets the connection while they are answered,
// so that the server writes into one that its peer has left.
func hangUp(t *testing.T, base string) {
	t.Helper()
	u, err := url.Parse(base)
	require.NoError(t, err)
	for i := range 40 {
		raw, err := net.Dial("tcp", u.Host)
		require.NoError(t, err)
		c := raw
		if u.Scheme == "https" {
			c = tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		}
		_, err = fmt.Fprint(c, strings.Repeat("GET /healthz HTTP/1.1\r\nHost: "+u.Host+"\r\n\r\n", 50))
		require.NoError(t, err)
		if i%2 == 0 {
			require.NoError(t, raw.(*net.TCPConn).SetLinger(0))
		}
		require.NoError(t, raw.Close())
	}
}

// alive demands that a process serves and does not end.
func (p *process) alive(t *testing.T) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	res, err := client.Get(p.URL + "/readyz")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	select {
	case <-p.Done:
		t.Fatalf("the process ended: %s", p.Cmd.ProcessState)
	default:
	}
}

// reloaded counts how often a process read its configuration again.
func (p *process) reloaded() int {
	return strings.Count(p.Log.String(), "the configuration was read again and is in force")
}

func TestPeersHangUp(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run("S-43 S-62 "+scheme+": peers that hang up end nothing: reloads and pending revocations go on", func(t *testing.T) {
			s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
			d := deploy(t, redisStore(s))
			var environ []string
			if scheme == "https" {
				cert, key := certificate(t)
				environ = []string{"GRANTOR_TLS__MODE=files", "GRANTOR_TLS__CERT_FILE=" + cert, "GRANTOR_TLS__KEY_FILE=" + key}
			}
			p := run(t, built(t, module), environ, "serve", "--config", d.config, "--listen", "127.0.0.1:0")
			hangUp(t, p.URL)
			p.alive(t)
			for i := range 3 {
				require.NoError(t, p.Cmd.Process.Signal(hangup))
				within(t, func() bool { return p.reloaded() > i })
				p.alive(t)
			}
			if scheme == "https" {
				return // the rest is the same, and post knows no certificate
			}
			good, err := os.ReadFile(d.config)
			require.NoError(t, err)
			token := d.token(t, p)
			s.Kill()
			require.Equal(t, 503, post(t, p.URL+"/oauth2/revoke", "machine", d.machine, url.Values{"token": {token}}).status)
			hangUp(t, p.URL)
			s.Restart()
			within(t, func() bool {
				r, err := tryPost(t.Context(), p.URL+"/oauth2/introspect", "api", d.api, url.Values{"token": {token}})
				return err == nil && r.body == dead
			})
			changed := strings.Replace(string(good), "client_id = \"machine\"", "client_id = \"machine\"\ndisabled = true", 1)
			require.NoError(t, os.WriteFile(d.config, []byte(changed), 0o600))
			within(t, func() bool {
				return post(t, p.URL+"/oauth2/token", "machine", d.machine, clientCredentials).status == 401
			})
		})
	}
	t.Run("S-43 whoever read standard output and error may leave", func(t *testing.T) {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		addr := freeAddr(t)
		c := exec.Command(built(t, module), "serve", "--config", deploy(t, memoryStore+"audit.output = \"stdout\"\n").config, "--listen", addr)
		c.Stdout, c.Stderr = w, w
		require.NoError(t, c.Start())
		ended := make(chan struct{})
		go func() { _ = c.Wait(); close(ended) }()
		t.Cleanup(func() { _ = c.Process.Kill(); <-ended })
		require.NoError(t, w.Close())
		_, err = r.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, r.Close())
		ask := func() bool {
			res, err := http.Post("http://"+addr+"/oauth2/token", "application/x-www-form-urlencoded", strings.NewReader("grant_type=client_credentials&client_id=none"))
			if err != nil {
				return false
			}
			require.NoError(t, res.Body.Close())
			return true
		}
		within(t, ask)
		for range 10 {
			require.True(t, ask(), "each writes to the trail and the log")
		}
		require.NoError(t, c.Process.Signal(hangup))
		require.Never(t, func() bool {
			select {
			case <-ended:
				return true
			default:
				return !ask()
			}
		}, 300*time.Millisecond, 30*time.Millisecond)
	})
	t.Run("S-62 a signal to reload while the server waits for Redis, or of a trial, does not kill", func(t *testing.T) {
		line := freeAddr(t)
		d := deploy(t, "redis.url = \"redis://"+line+"\"\n")
		log := &processtest.Text{}
		c := exec.Command(built(t, module), "serve", "--config", d.config)
		c.Stderr = log
		require.NoError(t, c.Start())
		ended := make(chan struct{})
		go func() { _ = c.Wait(); close(ended) }()
		t.Cleanup(func() { _ = c.Process.Kill(); <-ended })
		within(t, func() bool { return strings.Contains(log.String(), "waiting for redis") })
		require.NoError(t, c.Process.Signal(hangup))
		trial := run(t, built(t, module), nil, "--trial", "--listen", "127.0.0.1:0")
		require.NoError(t, trial.Cmd.Process.Signal(hangup))
		require.Never(t, func() bool {
			select {
			case <-ended:
				return true
			default:
				return false
			}
		}, 300*time.Millisecond, 30*time.Millisecond)
		trial.alive(t)
	})
	t.Run("a command that prints ends as others do when its reader leaves", func(t *testing.T) {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		require.NoError(t, r.Close())
		said := &processtest.Text{}
		c := exec.Command(built(t, module), "completion", "bash")
		c.Stdout, c.Stderr = w, said
		require.Error(t, c.Run())
		status := c.ProcessState.Sys().(syscall.WaitStatus)
		require.Equal(t, syscall.SIGPIPE, status.Signal())
		require.Empty(t, said.String())
	})
}
