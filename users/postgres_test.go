package users_test

import (
	"database/sql"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/users"
	"github.com/grantor-auth/grantor/users/database"
)

// startPostgres starts a PostgreSQL server on a socket in a folder of its own, and returns how to
// reach it. Without PostgreSQL the test is skipped, or fails if GRANTOR_TEST_REQUIRE_POSTGRES is 1.
func startPostgres(t *testing.T) (dsn, socket string) {
	t.Helper()
	bin := postgresFolder(t)
	dir, err := os.MkdirTemp("", "grantor-pg") // t.TempDir is closed to other users, and its path too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attr := postgresUser(t, dir)

	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", dir+"/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	out, err := initdb.CombinedOutput()
	require.NoError(t, err, string(out))

	server := exec.Command(filepath.Join(bin, "postgres"), "-D", dir+"/data", "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	server.SysProcAttr, server.Dir = attr, dir
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // fast shutdown
		_ = server.Wait()
	})
	dsn = "host=" + dir + " user=postgres database=postgres"
	waitForPostgres(t, dsn)
	return dsn, dir
}

func postgresFolder(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	require.NoError(t, err)
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) > 0 {
		return filepath.Dir(slices.Max(found))
	}
	if os.Getenv("GRANTOR_TEST_REQUIRE_POSTGRES") == "1" {
		t.Fatal("PostgreSQL is not installed and GRANTOR_TEST_REQUIRE_POSTGRES=1")
	}
	t.Skip("PostgreSQL is not installed")
	return ""
}

func waitForPostgres(t *testing.T, dsn string) {
	t.Helper()
	db, err := database.Open(users.Postgres, dsn)
	require.NoError(t, err)
	defer db.Close()
	require.Eventually(t, func() bool { return db.PingContext(t.Context()) == nil }, 20*time.Second, 20*time.Millisecond)
}

func openPostgres(t *testing.T, statements ...string) *sql.DB {
	t.Helper()
	dsn, _ := startPostgres(t)
	db, err := database.Open(users.Postgres, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
	return db
}

// line carries connections to a socket, and can stop to carry the server's words.
type line struct {
	addr    string
	stopped atomic.Bool
}

func newLine(t *testing.T, socket string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	way := &line{addr: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go way.carry(c, socket)
		}
	}()
	return way
}

func (l *line) carry(c net.Conn, socket string) {
	defer c.Close()
	s, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer s.Close()
	go func() { _, _ = io.Copy(s, c); _ = s.Close() }()
	for buf := make([]byte, 4096); ; {
		n, err := s.Read(buf)
		if err != nil {
			return
		}
		if l.stopped.Load() {
			continue
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// gives demands that a directory at the end of the line gives a silent server up.
func (l *line) gives(t *testing.T, dir *users.SQL) {
	t.Helper()
	_, err := dir.Find(t.Context(), "ada")
	require.NoError(t, err)
	l.stopped.Store(true)
	done := make(chan error, 1)
	go func() { _, err := dir.ByID(t.Context(), "1"); done <- err }()
	select {
	case err := <-done:
		require.ErrorIs(t, err, users.ErrUnavailable)
	case <-time.After(30 * time.Second):
		t.Fatal("the question is not over")
	}
	l.stopped.Store(false)
	require.Eventually(t, func() bool { _, err := dir.Find(t.Context(), "ada"); return err == nil }, 20*time.Second, 20*time.Millisecond)
}

func TestPostgresHangs(t *testing.T) {
	_, folder := startPostgres(t)
	l := newLine(t, filepath.Join(folder, ".s.PGSQL.5432"))
	host, port, err := net.SplitHostPort(l.addr)
	require.NoError(t, err)
	db, err := database.Open(users.Postgres, fmt.Sprintf("host=%s port=%s user=postgres database=postgres sslmode=disable", host, port))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	const q = "SELECT 1 AS id, 'ada' AS username, '' AS password WHERE $1::text <> ''"
	dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.Postgres, Query: q, Recheck: q, Timeout: 200 * time.Millisecond})
	require.NoError(t, err)
	t.Run("ER-06 S-20 a server that stops in the midst of a question is given up, and serves again when it goes on", func(t *testing.T) { l.gives(t, dir) })
}
