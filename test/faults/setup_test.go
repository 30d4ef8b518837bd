package faults_test

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// refused starts a server that must end at once, and returns its exit status and what it said.
func (d *deployment) refused(t *testing.T) (status int, said string, took time.Duration) {
	t.Helper()
	name, err := program()
	require.NoError(t, err)
	begun := time.Now()
	out, err := exec.Command(name, "serve", "--config", d.config, "--listen", "127.0.0.1:0").CombinedOutput()
	exit, ok := err.(*exec.ExitError)
	require.True(t, ok, "it starts: %v", err)
	return exit.ExitCode(), string(out), time.Since(begun)
}

// ofRedis keeps the lines of what a server said that are about Redis.
func ofRedis(said string) (list []string) {
	for line := range strings.Lines(said) {
		if strings.Contains(line, "redis") {
			list = append(list, line)
		}
	}
	return list
}

func TestWrongRedis(t *testing.T) {
	open, secured := redistest.Start(t), redistest.Start(t, "--requirepass", "hush", "--user", "blind", "on", ">hush", "~*", "+get")
	server := redistest.New(t, redistest.Options{TLS: true})
	mutual := redistest.New(t, redistest.Options{TLS: true, Mutual: true})
	own, ownKey := server.ClientCertificate("grantor", time.Hour)
	s := redistest.Sentinel(t)
	other, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("127.0.0.2 is no address of this machine")
	}
	t.Cleanup(func() { _ = other.Close() })
	go lead(other, server.Addr)

	redis := func(format string, v ...any) string { return "store = \"redis\"\n" + fmt.Sprintf(format, v...) + "\n" }
	for name, wrong := range map[string]struct{ store, says string }{
		"a wrong password":                 {redis("redis.url = \"redis://:wrong@%s\"", secured.Addr), "password"},
		"no password":                      {redis("redis.url = %q", secured.URL), "password"},
		"a password that nobody wants":     {redis("redis.url = \"redis://:hush@%s\"", open.Addr), "password"},
		"a user without rights":            {redis("redis.url = \"redis://blind:hush@%s\"", secured.Addr), "rights"},
		"a database that is not there":     {redis("redis.url = \"%s/99\"", open.URL), "db"},
		"an authority that is not known":   {redis("redis.url = %q", server.URL), "ca_file"},
		"a certificate for another name":   {redis("redis.url = \"rediss://%s\"\nredis.ca_file = %q", other.Addr(), server.CAFile), "name"},
		"a certificate that is missing":    {redis("redis.url = %q\nredis.ca_file = %q", mutual.URL, mutual.CAFile), "cert_file"},
		"a certificate of a stranger":      {redis("redis.url = %q\nredis.ca_file = %q\nredis.cert_file = %q\nredis.key_file = %q", mutual.URL, mutual.CAFile, own, ownKey), "cert_file"},
		"a Cluster that is none":           {redis("redis.mode = \"cluster\"\nredis.addrs = [%q]", open.Addr), "Cluster"},
		"a primary that no Sentinel knows": {redis("redis.mode = \"sentinel\"\nredis.master = \"other\"\nredis.addrs = [\"%s\"]", strings.Join(s.Addrs, `", "`)), "master"},
	} {
		t.Run("S-20 a start with "+name+" ends at once, with one line", func(t *testing.T) {
			status, said, took := deploy(t, wrong.store).refused(t)
			require.Equal(t, 2, status, said)
			lines := ofRedis(said)
			require.Len(t, lines, 1, said)
			require.Contains(t, lines[0], wrong.says)
			require.Less(t, took, 12*time.Second, "nothing was waited for")
		})
	}
	t.Run("S-20 a start waits for a Redis that comes later, with few lines", func(t *testing.T) {
		server := redistest.Start(t)
		server.Stop()
		d := deploy(t, single(server.Addr))
		later := make(chan struct{})
		go func() { defer close(later); time.Sleep(4 * time.Second); server.Restart() }()
		n := d.serve(t)
		<-later
		require.Equal(t, 200, n.readiness(t))
		require.LessOrEqual(t, strings.Count(n.Out.String(), "waiting for redis"), 4)
	})
}

// lead hands the connections of a listener on.
func lead(l net.Listener, to string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p := &proxy{to: to, conns: map[net.Conn]net.Conn{}}
		go p.serve(c)
	}
}

func TestClientCertificate(t *testing.T) {
	t.Run("S-20 a Redis that wants a client's certificate is served, also after the certificate was renewed", func(t *testing.T) {
		s := redistest.New(t, redistest.Options{TLS: true, Mutual: true})
		cert, key := s.ClientCertificate("grantor", 3*time.Second)
		d := deploy(t, fmt.Sprintf("store = \"redis\"\nredis.url = %q\nredis.ca_file = %q\nredis.cert_file = %q\nredis.key_file = %q\n", s.URL, s.CAFile, cert, key))
		n, c := d.serve(t), newCaller(d)
		require.Equal(t, 200, c.issue(t.Context(), n, "machine-0").status)
		time.Sleep(3100 * time.Millisecond) // the first one ends
		s.ClientCertificate("grantor", time.Hour)
		s.Restart()
		require.Eventually(t, func() bool { return c.issue(t.Context(), n, "machine-0").status == 200 }, 20*time.Second, 50*time.Millisecond)
	})
}
