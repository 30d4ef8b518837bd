// Package redistest starts real redis-server processes for tests: one, a primary with a replica
// and Sentinels, or a Cluster. Each has a free port and a folder of its own, and ends with the
// test, or with the test's process.
//
// Where redis-server is not on PATH, tests are skipped; with RequireEnv=1 they fail. Replicas and
// Clusters need Redis 7.
package redistest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis/v8"
)

// RequireEnv, set to 1, turns the absence of redis-server from a skip into a failure.
const RequireEnv = "GRANTOR_TEST_REQUIRE_REDIS"

// patience bounds every wait for a server.
const patience = 20 * time.Second

// Options of a server. The zero value is an empty Redis without persistence.
type Options struct {
	Args       []string // further arguments of redis-server
	AppendOnly bool     // every write is on disk before it is answered: it outlives Stop
	Socket     bool     // also listens on a unix socket: Server.Socket
	TLS        bool     // speaks TLS only: Server.URL is rediss://, Server.CAFile its authority
	Mutual     bool     // with TLS: wants a client's certificate, as Redis does by default: see Server.ClientCertificate

	sentinel string // a sentinel's configuration file instead
}

// Server is one redis-server.
type Server struct {
	Addr   string // host:port
	URL    string // redis://…, or rediss://… with Options.TLS
	Dir    string // its folder
	Socket string // path, with Options.Socket
	CAFile string // PEM, with Options.TLS

	t    testing.TB
	args []string
	tls  *tls.Config
	ca   *authority
	cmd  *exec.Cmd
	gone chan struct{} // closed when cmd has ended
}

// Start runs redis-server with further arguments: New(t, Options{Args: args}).
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return New(t, Options{Args: args})
}

// New runs redis-server and waits until it answers.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	Need(t)
	for range 5 { // a port that was free may be taken before the server has it
		s := prepare(t, o)
		if s.run() {
			t.Cleanup(s.Stop)
			return s
		}
		s.Stop()
	}
	t.Fatal("redis-server does not start")
	return nil
}

// Need skips, or fails, a test on a machine without redis-server.
func Need(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err == nil {
		return
	}
	if os.Getenv(RequireEnv) == "1" {
		t.Fatal("redis-server is not on PATH and " + RequireEnv + "=1")
	}
	t.Skip("redis-server is not on PATH")
}

func prepare(t testing.TB, o Options) *Server {
	t.Helper()
	port := FreePort(t)
	s := &Server{t: t, Dir: t.TempDir(), Addr: "127.0.0.1:" + port, URL: "redis://127.0.0.1:" + port}
	if o.sentinel != "" {
		s.args = []string{s.write("sentinel.conf", o.sentinel), "--sentinel"}
	}
	s.args = append(s.args, "--bind", "127.0.0.1", "--dir", s.Dir)
	if o.sentinel == "" {
		s.args = append(s.args, "--save", "", "--repl-diskless-sync-delay", "0")
	}
	if o.TLS {
		cert, key := s.certificate()
		s.URL = "rediss://" + s.Addr
		s.args = append(s.args, "--port", "0", "--tls-port", port, "--tls-auth-clients", map[bool]string{false: "no", true: "yes"}[o.Mutual],
			"--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", s.CAFile)
	} else {
		s.args = append(s.args, "--port", port)
	}
	if o.Socket {
		dir, err := os.MkdirTemp("", "redis") // a socket's path must be short
		s.must(err)
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		s.Socket = filepath.Join(dir, "redis.sock")
		s.args = append(s.args, "--unixsocket", s.Socket)
	}
	if o.AppendOnly {
		s.args = append(s.args, "--appendonly", "yes", "--appendfsync", "always")
	}
	s.args = append(s.args, o.Args...)
	return s
}

// run starts the process, and says whether it answered before it ended.
func (s *Server) run() bool {
	s.t.Helper()
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	s.must(err)
	defer log.Close()
	cmd, gone := exec.Command("redis-server", s.args...), make(chan struct{})
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, attributes()
	s.must(cmd.Start())
	s.cmd, s.gone = cmd, gone
	go func() { _ = cmd.Wait(); close(gone) }()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if s.answers() {
			return true
		}
		select {
		case <-gone:
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
	text, _ := os.ReadFile(s.logFile())
	s.t.Fatalf("redis-server does not answer:\n%s", text)
	return false
}

func (s *Server) logFile() string { return filepath.Join(s.Dir, "redis.log") }

// answers says whether this very process answers, or asks for a password.
func (s *Server) answers() bool {
	c, err := s.dial()
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprint(c, "INFO server\r\n"); err != nil {
		return false
	}
	var text strings.Builder
	for buf := make([]byte, 4096); ; {
		n, err := c.Read(buf)
		text.Write(buf[:n])
		switch {
		case strings.Contains(text.String(), "process_id:"+strconv.Itoa(s.cmd.Process.Pid)+"\r\n"):
			return true
		case strings.HasPrefix(text.String(), "-NO"): // NOAUTH, NOPERM
			return true
		case err != nil || text.Len() > 1<<16 || strings.HasPrefix(text.String(), "-"):
			return false
		}
	}
}

func (s *Server) dial() (net.Conn, error) {
	d := &net.Dialer{Timeout: time.Second}
	if s.tls != nil {
		return tls.DialWithDialer(d, "tcp", s.Addr, s.tls)
	}
	return d.Dial("tcp", s.Addr)
}

// Stop ends the server at once, as a crash would (kill -9). It may be called twice.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.gone
	s.cmd = nil
}

// Kill is Stop.
func (s *Server) Kill() { s.Stop() }

// Restart starts the server again, after a Stop if need be, on the same port and folder.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	for deadline := time.Now().Add(patience); !s.run(); {
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(s.logFile())
			s.t.Fatalf("redis-server does not start again:\n%s", text)
		}
	}
}

// Client returns a client of the server for looking at what a test left there. It ends with the
// test.
func (s *Server) Client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr, TLSConfig: s.tls, MaxRetries: -1})
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// do runs one command, which must succeed.
func (s *Server) do(args ...any) any {
	s.t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr, TLSConfig: s.tls})
	defer c.Close()
	v, err := c.Do(context.Background(), args...).Result()
	if err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return v
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.Dir, name)
	s.must(os.WriteFile(path, []byte(text), 0o600))
	return path
}

// FreePort asks the system for a port that nobody has.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// await waits until a thing is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("in vain: " + what)
		}
	}
}
