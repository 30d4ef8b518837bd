package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Postgres is a private PostgreSQL server with an empty database.
type Postgres struct {
	*Process
	URL string // of the database
	dir string
}

// PostgresProgram finds one of PostgreSQL's programs, where Debian puts them or in PATH.
func PostgresProgram(name string) (string, error) {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 {
		return slices.Max(found), nil
	}
	return exec.LookPath(name)
}

// StartPostgres runs PostgreSQL with its defaults, but without waiting for the disk, which would be
// what is measured.
func StartPostgres(ctx context.Context) (*Postgres, error) {
	dir, err := os.MkdirTemp("", "grantor-pg") // not below the benchmark's own, which is closed to the user whom it runs as
	if err != nil {
		return nil, err
	}
	p := &Postgres{dir: dir}
	if err := p.start(ctx); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func (p *Postgres) start(ctx context.Context) error {
	who, err := unprivileged(p.dir)
	if err != nil {
		return err
	}
	initdb, err1 := PostgresProgram("initdb")
	postgres, err2 := PostgresProgram("postgres")
	addr, err3 := FreeAddress()
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	data := filepath.Join(p.dir, "data")
	c := exec.CommandContext(ctx, initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	c.Dir, c.SysProcAttr = p.dir, &syscall.SysProcAttr{Credential: who}
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	host, port, _ := net.SplitHostPort(addr)
	p.URL = "postgres://postgres@" + addr + "/postgres?sslmode=disable"
	p.Process, err = startAs(who, p.dir, filepath.Join(p.dir, "log"), nil, postgres, "-D", data, "-k", p.dir, "-h", host, "-p", port, "-c", "fsync=off")
	if err != nil {
		return err
	}
	return p.Await(ctx, 20*time.Second, func() error {
		// its last line says "ready" as soon as it answers (pg_ctl looks there too)
		state, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
		if err == nil && !strings.HasSuffix(strings.TrimSpace(string(state)), "ready") {
			err = errors.New("it is starting")
		}
		return err
	})
}

// unprivileged is who PostgreSQL runs as, for it refuses root: Debian's user postgres then, who is
// given the folder.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	who := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return who, errors.Join(err1, err2, os.Chown(dir, int(uid), int(gid)))
}

// CPU is what all processes of the server have used so far: each connection has one, and the
// parent's figures (fields 16 and 17) hold those that have ended.
func (p *Postgres) CPU() (time.Duration, error) {
	pid := p.cmd.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for word := range strings.FieldsSeq(string(children)) {
		child, err := strconv.Atoi(word)
		if err != nil {
			return 0, err
		}
		used, err := ticks(child, 14, 15)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // not: it has ended since
			return 0, err
		}
		sum += used
	}
	own, err := ticks(pid, 14, 15, 16, 17)
	return sum + own, err
}

// Stop ends it and removes its files.
func (p *Postgres) Stop() {
	if p == nil {
		return
	}
	p.Process.Stop() // SIGINT is its fast shutdown
	_ = os.RemoveAll(p.dir)
}
