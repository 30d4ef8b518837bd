package faults_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const module = "github.com/grantor-auth/grantor"

// long says that there is time: every fault is repeated as often as its row asks for.
var long = os.Getenv("GRANTOR_TEST_FAULTS") == "long"

// choose returns the number for CI, or the one for the long mode.
func choose(ci, full int) int {
	if long {
		return full
	}
	return ci
}

var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "grantor-faults"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

// program compiles the server, once a run.
var program = sync.OnceValues(func() (string, error) {
	name := filepath.Join(buildDir, "grantor")
	out, err := exec.Command("go", "build", "-o", name, module).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return name, nil
})

// node is a running server of ours.
type node struct {
	t    *testing.T
	cmd  *exec.Cmd
	URL  string
	Addr string // host:port
	out  *text  // what it said
	dead chan struct{}
}

// text is a bounded buffer for goroutines: it keeps what came first, which says why things began.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

const textLimit = 4 << 20

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.b.Len() < textLimit {
		x.b.Write(p)
	}
	return len(p), nil
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

var listening = regexp.MustCompile(`listens on (https?://([0-9a-f.:\[\]]+))`)

// serve starts the server on a port that is free, and waits until it says which.
func (d *deployment) serve(t *testing.T) *node {
	t.Helper()
	name, err := program()
	require.NoError(t, err)
	return d.serveBy(t, name)
}

// serveBy is serve by another program, such as an older version.
func (d *deployment) serveBy(t *testing.T, name string) *node {
	t.Helper()
	n := &node{t: t, cmd: exec.Command(name, "serve", "--config", d.config, "--listen", "127.0.0.1:0"), out: &text{}, dead: make(chan struct{})}
	n.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	n.cmd.Dir, n.cmd.Stderr = t.TempDir(), n.out
	stdout, err := n.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, n.cmd.Start())
	found := make(chan []string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			fmt.Fprintln(n.out, lines.Text())
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				found <- m
			}
		}
		_ = n.cmd.Wait()
		close(n.dead)
	}()
	t.Cleanup(n.cleanUp)
	select {
	case m := <-found:
		n.URL, n.Addr = m[1], m[2]
	case <-n.dead:
		t.Fatalf("the server ended: %s", n.out)
	case <-time.After(30 * time.Second):
		t.Fatalf("the server does not say where it listens: %s", n.out)
	}
	return n
}

func (n *node) cleanUp() {
	n.kill()
	if n.t.Failed() {
		said := n.out.String()
		n.t.Logf("the server said:\n%s", said[:min(len(said), 8<<10)])
	}
	if strings.Contains(n.out.String(), "panic") {
		n.t.Errorf("the server panicked:\n%s", n.out)
	}
}

// kill ends the process at once.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	<-n.dead
}

// stop ends the process by SIGTERM and returns its exit status and how long it took.
func (n *node) stop() (int, time.Duration) {
	n.t.Helper()
	begun := time.Now()
	require.NoError(n.t, n.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-n.dead:
	case <-time.After(30 * time.Second):
		n.t.Fatal("the process does not end")
	}
	return n.cmd.ProcessState.ExitCode(), time.Since(begun)
}

// open counts the process's file descriptors; -1 where the system does not tell.
func (n *node) open() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.cmd.Process.Pid))
	if err != nil {
		return -1
	}
	return len(list)
}

// resident is the process's memory in kB; -1 where the system does not tell.
func (n *node) resident() int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid))
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kB, _ := strconv.Atoi(f[1])
			return kB
		}
	}
	return -1
}
