package users_test

import (
	"database/sql"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
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

// postgresUser says as whom the server runs: it refuses root, so for root as user postgres, who is
// given the folder.
func postgresUser(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	require.NoError(t, err)
	uid, err := strconv.Atoi(u.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(u.Gid)
	require.NoError(t, err)
	require.NoError(t, os.Chown(dir, uid, gid))
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
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
