// Package processtest runs programs of this module as their users do, for tests: built, as
// processes of their own, and asked over the network.
package processtest

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shown is how much of a process's words a failed test shows, in bytes.
const shown = 64 << 10

// patience bounds the waits for a process to listen, and to end.
const patience = 30 * time.Second

// Build compiles a package's program into a folder and returns its path.
func Build(folder, pkg string) (string, error) {
	name := filepath.Join(folder, filepath.Base(pkg)+"-program")
	if out, err := exec.Command("go", "build", "-o", name, pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w: %s", pkg, err, out)
	}
	return name, nil
}

// Text keeps what a process writes. It may be used by any number of goroutines.
type Text struct {
	Limit int // bytes; what comes behind is dropped; 0: none

	mu sync.Mutex
	b  strings.Builder
}

// Write implements io.Writer.
func (x *Text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.Limit == 0 || x.b.Len() < x.Limit {
		x.b.Write(p)
	}
	return len(p), nil
}

// String returns what was written so far.
func (x *Text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

// Process is a program that listens, and says where.
type Process struct {
	Cmd  *exec.Cmd     // to be started
	Out  *Text         // its standard output; nil: a fresh Text
	Log  *Text         // its standard error; nil: a fresh Text
	URL  string        // where it listens, from Start on: http://127.0.0.1:1234
	Done chan struct{} // closed when it has ended
}

var listening = regexp.MustCompile(`listens on (https?://[0-9a-f.:\[\]]+|unix:[^ ,]+)`)

// Start starts the process and waits until it says where it listens. The process ends with the
// test; a failed test shows what it said.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	p.Out, p.Log, p.Done = cmp.Or(p.Out, &Text{}), cmp.Or(p.Log, &Text{}), make(chan struct{})
	p.Cmd.Stderr = p.Log
	stdout, err := p.Cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Cmd.Start())
	found := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			fmt.Fprintln(p.Out, lines.Text())
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case found <- m[1]:
				default: // a listener beside the first
				}
			}
		}
		_ = p.Cmd.Wait()
		close(p.Done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			said := p.said()
			t.Logf("%s said:\n%s", filepath.Base(p.Cmd.Path), said[:min(len(said), shown)])
		}
	})
	select {
	case p.URL = <-found:
	case <-p.Done:
		t.Fatalf("%s ended: %s", p.Cmd.Path, p.Log)
	case <-time.After(patience):
		t.Fatalf("%s does not say where it listens: %s", p.Cmd.Path, p.Log)
	}
}

// said is everything that the process wrote, once.
func (p *Process) said() string {
	if p.Out == p.Log {
		return p.Out.String()
	}
	return p.Out.String() + p.Log.String()
}

// Logs waits until the process has logged a text: its lines come later than its answers.
func (p *Process) Logs(t testing.TB, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(p.Log.String(), text) }, patience, time.Millisecond, text)
}

// Kill ends the process at once.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill()
	<-p.Done
}

// Stop sends a signal, waits for the end and returns the exit status.
func (p *Process) Stop(t testing.TB, sig os.Signal) int {
	t.Helper()
	require.NoError(t, p.Cmd.Process.Signal(sig))
	select {
	case <-p.Done:
	case <-time.After(patience):
		t.Fatalf("%s does not end", p.Cmd.Path)
	}
	return p.Cmd.ProcessState.ExitCode()
}
