//go:build linux

package integration_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// manager is systemd's end of the socket of sd_notify(3).
type manager struct {
	*net.UnixConn
	alive int // signs of life that were passed over
}

func newManager(t *testing.T, name string) *manager {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return &manager{UnixConn: c}
}

// environment is what systemd gives a service of WatchdogSec=0.1.
func (m *manager) environment() []string {
	return []string{"NOTIFY_SOCKET=" + m.LocalAddr().String(), "WATCHDOG_USEC=100000"}
}

// told returns the next datagram that is no sign of life.
func (m *manager) told(t *testing.T) string {
	t.Helper()
	for {
		text := m.next(t)
		if text != "WATCHDOG=1" {
			return text
		}
		m.alive++
	}
}

func (m *manager) next(t *testing.T) string {
	t.Helper()
	require.NoError(t, m.SetReadDeadline(time.Now().Add(20*time.Second)))
	text := make([]byte, 4096)
	n, err := m.Read(text)
	require.NoError(t, err)
	return string(text[:n])
}

func TestSystemd(t *testing.T) {
	m := newManager(t, filepath.Join(t.TempDir(), "notify"))
	s := redistest.Start(t)
	d := deploy(t, "redis.url = \""+s.URL+"\"\n")
	p := run(t, built(t, module), m.environment(), "serve", "--config", d.config, "--listen", "127.0.0.1:0")
	at := strings.TrimPrefix(p.URL, "http://")
	t.Run("sd_notify(3) READY=1 when Grantor serves", func(t *testing.T) {
		require.Equal(t, "READY=1\nSTATUS=Serving on "+at, m.told(t))
	})
	t.Run("sd_notify(3) signs of life", func(t *testing.T) {
		for range 3 {
			require.Equal(t, "WATCHDOG=1", m.next(t))
		}
	})
	t.Run("sd_notify(3) RELOADING=1, and READY=1 when the configuration is in force", func(t *testing.T) {
		require.NoError(t, p.Cmd.Process.Signal(syscall.SIGHUP))
		require.Regexp(t, `^RELOADING=1\nMONOTONIC_USEC=[0-9]+$`, m.told(t))
		require.Equal(t, "READY=1\nSTATUS=Serving on "+at, m.told(t))
	})
	t.Run("the status says that the file is not in force", func(t *testing.T) {
		text, err := os.ReadFile(d.config)
		require.NoError(t, err)
		replace(t, d.config, string(text)+"\nnonsense = 1\n")
		require.Regexp(t, `^RELOADING=1\n`, m.told(t))
		require.Equal(t, "READY=1\nSTATUS=Serving on "+at+"; the configuration on disk is not in force, see the log", m.told(t))
		replace(t, d.config, string(text))
		require.Regexp(t, `^RELOADING=1\n`, m.told(t))
		require.Equal(t, "READY=1\nSTATUS=Serving on "+at, m.told(t))
	})
	t.Run("a Redis that is away changes the status, and the node stays alive", func(t *testing.T) {
		s.Stop()
		require.Regexp(t, `^STATUS=Not ready: `, m.told(t))
		require.Equal(t, "WATCHDOG=1", m.next(t))
	})
	t.Run("sd_notify(3) STOPPING=1", func(t *testing.T) {
		require.Zero(t, p.Stop(t, syscall.SIGINT))
		for {
			if text := m.told(t); !strings.HasPrefix(text, "STATUS=") {
				require.Regexp(t, `^STOPPING=1\nEXTEND_TIMEOUT_USEC=[0-9]{7,}\nSTATUS=Stopping`, text)
				return
			}
		}
	})
}

func TestSystemdGate(t *testing.T) {
	m := newManager(t, "@grantor-"+filepath.Base(t.TempDir())+time.Now().Format("150405.000000000"))
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("gcs_0123456789abcdefghijklmnop"), 0o600))
	p := run(t, built(t, module), m.environment(), "gate", "--issuer", "https://127.0.0.1:1", "--client-id", "api", "--client-secret-file", secret, "--listen", "127.0.0.1:0")
	require.Equal(t, "READY=1\nSTATUS=Serving on "+p.URL, m.told(t))
	require.Equal(t, "WATCHDOG=1", m.next(t))
	require.Zero(t, p.Stop(t, syscall.SIGTERM))
	require.Regexp(t, `^STOPPING=1\n`, m.told(t))
}
