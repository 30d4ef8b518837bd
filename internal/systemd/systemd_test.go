//go:build linux

package systemd_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/grantor-auth/grantor/internal/systemd"
)

// manager is the end of the socket that systemd has.
type manager struct {
	t *testing.T
	*net.UnixConn
}

func listen(t *testing.T, name string) manager {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return manager{t, c}
}

// told returns the next datagram.
func (m manager) told() string {
	m.t.Helper()
	require.NoError(m.t, m.SetReadDeadline(time.Now().Add(10*time.Second)))
	text := make([]byte, 4096)
	n, err := m.Read(text)
	require.NoError(m.t, err)
	return string(text[:n])
}

// silent says whether no datagram waits.
func (m manager) silent() bool {
	_ = m.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := m.Read(make([]byte, 4096))
	return err != nil
}

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

const pid = 4711

func TestStates(t *testing.T) {
	for kind, name := range map[string]string{
		"a socket in a folder": filepath.Join(t.TempDir(), "notify"),
		"an abstract socket":   "@grantor-test-" + strconv.FormatInt(time.Now().UnixNano(), 36),
	} {
		t.Run("sd_notify(3) "+kind, func(t *testing.T) {
			m := listen(t, name)
			s := systemd.Open(environment("NOTIFY_SOCKET", name), pid, slog.New(slog.DiscardHandler))
			s.Ready("Serving")
			require.Equal(t, "READY=1\nSTATUS=Serving", m.told())
			s.Status("Not ready: redis\nREADY=0\tdoes not answer")
			require.Equal(t, "STATUS=Not ready: redis READY=0 does not answer", m.told(), "a status is one line")
			s.Status(strings.Repeat("é", 1000))
			require.Regexp(t, `^STATUS=é+ …$`, m.told())
			s.Stopping(40*time.Second, "Stopping")
			require.Equal(t, "STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000\nSTATUS=Stopping", m.told())
			before := monotonic(t)
			s.Reloading()
			found := regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=(\d+)$`).FindStringSubmatch(m.told())
			require.NotNil(t, found)
			usec, err := strconv.ParseInt(found[1], 10, 64)
			require.NoError(t, err)
			require.GreaterOrEqual(t, usec, before)
			require.LessOrEqual(t, usec, monotonic(t))
		})
	}
}

// monotonic is CLOCK_MONOTONIC in microseconds.
func monotonic(t *testing.T) int64 {
	t.Helper()
	var at unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &at))
	return at.Nano() / 1000
}

func TestOpen(t *testing.T) {
	const at = "/run/systemd/notify"
	for name, c := range map[string]struct {
		variables []string
		none      bool
		watchdog  time.Duration
	}{
		"no systemd":                 {none: true},
		"a kind that is not for us":  {variables: []string{"NOTIFY_SOCKET", "vsock:2:1234"}, none: true},
		"no watchdog":                {variables: []string{"NOTIFY_SOCKET", at}},
		"a watchdog":                 {variables: []string{"NOTIFY_SOCKET", at, "WATCHDOG_USEC", "30000000"}, watchdog: 30 * time.Second},
		"a watchdog of this process": {variables: []string{"NOTIFY_SOCKET", at, "WATCHDOG_USEC", "30000000", "WATCHDOG_PID", "4711"}, watchdog: 30 * time.Second},
		"the watchdog of another":    {variables: []string{"NOTIFY_SOCKET", at, "WATCHDOG_USEC", "30000000", "WATCHDOG_PID", "1"}},
		"a watchdog of nonsense":     {variables: []string{"NOTIFY_SOCKET", at, "WATCHDOG_USEC", "-1"}},
	} {
		t.Run("sd_watchdog_enabled(3) "+name, func(t *testing.T) {
			s := systemd.Open(environment(c.variables...), pid, slog.New(slog.DiscardHandler))
			require.Equal(t, c.none, s == nil)
			require.Equal(t, c.watchdog, s.Watchdog())
			if s == nil {
				s.Ready("nobody hears it")
			}
		})
	}
}

func TestWatch(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notify")
	m := listen(t, name)
	var log bytes.Buffer
	s := systemd.Open(environment("NOTIFY_SOCKET", name, "WATCHDOG_USEC", "20000"), pid, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	good, asked, ended := make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		s.Watch(ctx, func(ctx context.Context) error {
			asked <- struct{}{}
			select {
			case err := <-good:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	t.Run("sd_notify(3) signs of life while the process is alive", func(t *testing.T) {
		for range 3 {
			<-asked
			good <- nil
			require.Equal(t, "WATCHDOG=1", m.told())
		}
	})
	t.Run("no sign of life of a process that is not", func(t *testing.T) {
		<-asked
		good <- errors.New("stuck")
		<-asked // it waits in vain
		<-asked // and so
		good <- errors.New("again")
		require.True(t, m.silent())
	})
	t.Run("signs of life begin again", func(t *testing.T) {
		<-asked
		good <- nil
		require.Equal(t, "WATCHDOG=1", m.told())
	})
	cancel()
	for open := true; open; {
		select {
		case <-asked:
		case <-ended:
			open = false
		}
	}
	require.Contains(t, log.String(), "error=stuck")
	require.Contains(t, log.String(), "context deadline exceeded")
}

func TestSocketGone(t *testing.T) {
	var log bytes.Buffer
	s := systemd.Open(environment("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone")), pid, slog.New(slog.NewTextHandler(&log, nil)))
	s.Ready("Serving")
	require.Contains(t, log.String(), "systemd cannot be told")
}
