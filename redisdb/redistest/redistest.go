// Package redistest starts real redis-server processes for tests, on free ports, in folders of
// their own, and ends them with the test.
package redistest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-redis/redis/v8"
)

// RequireEnv, set to 1, turns the absence of redis-server from a skip into a failure.
const RequireEnv = "GRANTOR_TEST_REQUIRE_REDIS"

// Server is one redis-server.
type Server struct {
	Addr string // host:port
	URL  string // redis://…
	Dir  string

	t    testing.TB
	args []string
	cmd  *exec.Cmd
}

// Start runs redis-server with further arguments and waits until it answers. Without
// redis-server on PATH the test is skipped, or fails if RequireEnv is 1.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	Need(t)
	port := freePort(t)
	s := &Server{t: t, Addr: "127.0.0.1:" + port, URL: "redis://127.0.0.1:" + port, Dir: t.TempDir()}
	s.args = append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", s.Dir, "--save", ""}, args...)
	s.run()
	t.Cleanup(s.Kill)
	return s
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

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func (s *Server) run() {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.Dir, "redis.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command("redis-server", s.args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for !s.answers() {
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(filepath.Join(s.Dir, "redis.log"))
			s.t.Fatalf("redis-server does not answer:\n%s", text)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// answers says whether the server answers PING, or asks for a password.
func (s *Server) answers() bool {
	c, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprint(c, "PING\r\n"); err != nil {
		return false
	}
	buf := make([]byte, 64)
	n, err := c.Read(buf)
	return err == nil && (strings.HasPrefix(string(buf[:n]), "+PONG") || strings.HasPrefix(string(buf[:n]), "-NOAUTH"))
}

// Kill ends the server at once, as a crash would. It may be called twice.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGCONT)
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Restart starts the server again on the same port and folder.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.run()
}

// Pause stops the process without closing its connections; Resume lets it go on.
func (s *Server) Pause() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (s *Server) Resume() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// Client returns a client of the server for looking at what a test left there.
func (s *Server) Client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr})
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}
