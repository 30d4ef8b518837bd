// Package postgrestest starts a real PostgreSQL server for a test, on a socket in a folder of its
// own. The server ends with the test.
//
// Where PostgreSQL is not installed, tests are skipped; with RequireEnv=1 they fail.
package postgrestest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/users"
	"github.com/grantor-auth/grantor/users/database"
)

// RequireEnv, set to 1, turns the absence of PostgreSQL from a skip into a failure.
const RequireEnv = "GRANTOR_TEST_REQUIRE_POSTGRES"

// Server is a PostgreSQL server with an empty database "postgres". User postgres needs no password.
type Server struct {
	Folder string // holds the socket: what clients take as the host
	Socket string // path
	DSN    string // of the database, by the socket
}

// Start runs PostgreSQL and waits until it answers.
func Start(t testing.TB) *Server {
	t.Helper()
	bin := binaries(t)
	dir, err := os.MkdirTemp("", "grantor-pg") // t.TempDir is closed to other users, and its path too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attr := runAs(t, dir)
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
	s := &Server{Folder: dir, Socket: filepath.Join(dir, ".s.PGSQL.5432"), DSN: "host=" + dir + " user=postgres dbname=postgres sslmode=disable"}
	s.await(t)
	return s
}

func (s *Server) await(t testing.TB) {
	t.Helper()
	db, err := database.Open(users.Postgres, s.DSN)
	require.NoError(t, err)
	defer db.Close()
	require.Eventually(t, func() bool { return db.PingContext(t.Context()) == nil }, 90*time.Second, 20*time.Millisecond)
}

// binaries returns the folder of PostgreSQL's programs: Debian's, or one of PATH.
func binaries(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	require.NoError(t, err)
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) > 0 {
		return filepath.Dir(slices.Max(found))
	}
	if os.Getenv(RequireEnv) == "1" {
		t.Fatal("PostgreSQL is not installed and " + RequireEnv + "=1")
	}
	t.Skip("PostgreSQL is not installed")
	return ""
}
