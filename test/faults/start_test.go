package faults_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/processtest"
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
	if os.Getenv(apiEnv) != "" {
		serveAPI()
		return
	}
	var err error
	if buildDir, err = os.MkdirTemp("", "grantor-faults"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

// program compiles the server, once a run.
var program = sync.OnceValues(func() (string, error) { return processtest.Build(buildDir, module) })

// node is a running server of ours. Out is what it said, to both of its outputs.
type node struct {
	*processtest.Process
	t    *testing.T
	Addr string // host:port
}

const textLimit = 4 << 20 // of a node's outputs: their beginning says why things began

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
	out := &processtest.Text{Limit: textLimit}
	n := &node{Process: &processtest.Process{Cmd: exec.Command(name, "serve", "--config", d.config, "--listen", "127.0.0.1:0"), Out: out, Log: out}, t: t}
	n.Cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	n.Cmd.Dir = t.TempDir()
	n.Start(t)
	_, n.Addr, _ = strings.Cut(n.URL, "://")
	t.Cleanup(n.cleanUp)
	return n
}

func (n *node) cleanUp() {
	n.kill()
	if strings.Contains(n.Out.String(), "panic") {
		n.t.Errorf("the server panicked:\n%s", n.Out)
	}
}

// kill ends the process at once.
func (n *node) kill() { n.Kill() }

// stop ends the process by SIGTERM and returns its exit status and how long it took.
func (n *node) stop() (int, time.Duration) {
	n.t.Helper()
	begun := time.Now()
	return n.Stop(n.t, syscall.SIGTERM), time.Since(begun)
}

// open counts the process's file descriptors; -1 where the system does not tell.
func (n *node) open() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.Cmd.Process.Pid))
	if err != nil {
		return -1
	}
	return len(list)
}

// resident is the process's memory in kB; -1 where the system does not tell.
func (n *node) resident() int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.Cmd.Process.Pid))
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kB, _ := strconv.Atoi(f[1])
			return kB
		}
	}
	return -1
}
