// Package stack is what a contest runs on: processes of their own on free loopback ports, and what
// the kernel says of their CPU and memory.
package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a program that was started here and is ended here.
type Process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// Start runs a program in a directory; its output goes to a file, which errors quote.
func Start(dir, log string, env []string, name string, args ...string) (*Process, error) {
	return startAs(nil, dir, log, env, name, args...)
}

func startAs(who *syscall.Credential, dir, log string, env []string, name string, args ...string) (*Process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &Process{cmd: exec.Command(name, args...), log: log, done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: who} // nothing outlives the benchmark
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	return p, nil
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Stop ends the process: kindly, then not.
func (p *Process) Stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-p.done:
	case <-time.After(3 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// Died returns an error that quotes the program's last words if it has ended.
func (p *Process) Died() error {
	select {
	case <-p.done:
		text, _ := os.ReadFile(p.log)
		return fmt.Errorf("%s ended: %s", p.cmd.Path, bytes.TrimSpace(text[max(0, len(text)-2000):]))
	default:
		return nil
	}
}

// Await polls until ready answers nil, the process ends, or patience does.
func (p *Process) Await(ctx context.Context, patience time.Duration, ready func() error) error {
	end := time.Now().Add(patience)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if died := p.Died(); died != nil {
			return died
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return errors.Join(fmt.Errorf("%s is not ready: %w", p.cmd.Path, err), ctx.Err())
		}
		time.Sleep(time.Millisecond)
	}
}

// tick is the unit of /proc/PID/stat: USER_HZ, which Linux fixes to 100 for programs.
const tick = 10 * time.Millisecond

// CPU is what the process and its threads have used so far, in user and kernel mode.
func (p *Process) CPU() (time.Duration, error) { return ticks(p.cmd.Process.Pid, 14, 15) }

// ticks is the sum of fields of /proc/PID/stat that are times, numbered as in proc_pid_stat(5).
func ticks(pid int, fields ...int) (sum time.Duration, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold spaces; after it comes field 3
	words := strings.Fields(rest)
	for _, field := range fields {
		if len(words) <= field-3 {
			return 0, errors.New("/proc/PID/stat is too short")
		}
		n, err := strconv.ParseInt(words[field-3], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// LoadAverage is how many threads of the whole machine ran or wanted to, over the last minute; 0:
// it is not known.
func LoadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	v, _ := strconv.ParseFloat(first, 64) //nolint:errcheck // 0 then
	return v
}

// Resident is the memory of the process that is in RAM, in bytes.
func (p *Process) Resident() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("no VmRSS in /proc/PID/status")
}

// FreeAddress finds a loopback port that nobody listens on.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
