package users_test

import (
	"os"
	"os/exec"
	"os/user"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/users"
	"github.com/grantor-auth/grantor/users/database"
)

// startMariaDB starts a MariaDB server on a socket in a folder of its own, and returns how to reach
// it. Without MariaDB the test is skipped, or fails if GRANTOR_TEST_REQUIRE_MARIADB is 1.
func startMariaDB(t *testing.T) (dsn string) {
	t.Helper()
	path, err := exec.LookPath("mariadbd")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/mariadbd")
	}
	if err != nil && os.Getenv("GRANTOR_TEST_REQUIRE_MARIADB") == "1" {
		t.Fatal("MariaDB is not installed and GRANTOR_TEST_REQUIRE_MARIADB=1")
	}
	if err != nil {
		t.Skip("MariaDB is not installed")
	}
	me, err := user.Current()
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "grantor-my") // the path of t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	server := exec.Command(path, "--no-defaults", "--user="+me.Username, "--datadir="+dir, "--socket="+dir+"/s", //nolint:gosec // a test's own server
		"--skip-grant-tables", "--skip-networking", "--innodb-flush-log-at-trx-commit=0")
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	return "root@unix(" + dir + "/s)/"
}

func TestMariaDB(t *testing.T) {
	dsn := startMariaDB(t)
	admin, err := database.Open(users.MySQL, dsn)
	require.NoError(t, err)
	defer admin.Close()
	require.Eventually(t, func() bool { return admin.PingContext(t.Context()) == nil }, 20*time.Second, 50*time.Millisecond)
	_, err = admin.ExecContext(t.Context(), "CREATE DATABASE app CHARACTER SET utf8mb4")
	require.NoError(t, err)
	db, err := database.Open(users.MySQL, dsn+"app")
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	_, err = db.ExecContext(t.Context(), "CREATE TABLE people (id INT PRIMARY KEY, username VARCHAR(256), password VARCHAR(255), scope TEXT, is_active TINYINT(1))")
	require.NoError(t, err)
	insertPeople(t, db, "INSERT INTO people VALUES (?, ?, ?, ?, ?)")

	const columns = "SELECT id, username, password, scope, is_active FROM people WHERE "
	dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.MySQL, Query: columns + "username = ?", Recheck: columns + "id = ?"})
	require.NoError(t, err)
	checkPeople(t, dir)
	checkRefused(t, users.MySQL, "?", db)
	auth := users.NewHashing(dir, users.NewSlots(0))
	t.Run("S-11 a collation that ignores case opens no second budget", func(t *testing.T) {
		for _, name := range []string{"ada", "ADA", "\u00e0da"} {
			login, err := users.NewLogin(name, "x")
			require.NoError(t, err)
			a, err := auth.Lookup(t.Context(), login)
			require.NoError(t, err)
			require.Equal(t, "id:1", a.Key())
		}
	})
	t.Run("an id that the database takes for a number is not that user", func(t *testing.T) {
		_, err := auth.Recheck(t.Context(), "1abc")
		require.ErrorIs(t, err, users.ErrUnavailable)
	})
	t.Run("ER-06 S-20 a server that stops in the midst of a question is given up, and serves again when it goes on", func(t *testing.T) {
		socket := strings.TrimSuffix(strings.TrimPrefix(dsn, "root@unix("), ")/")
		line := newLine(t, socket)
		db, err := database.Open(users.MySQL, "root@tcp("+line.addr+")/app")
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.MySQL, Query: columns + "username = ?", Recheck: columns + "id = ?", Timeout: 500 * time.Millisecond})
		require.NoError(t, err)
		line.gives(t, dir)
	})
	t.Run("never written to", func(t *testing.T) {
		_, err := db.ExecContext(t.Context(), "CREATE SEQUENCE counter")
		require.NoError(t, err)
		q := "SELECT NEXTVAL(counter) AS id, username, password FROM people WHERE username = ?"
		dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.MySQL, Query: q, Recheck: q})
		require.NoError(t, err)
		_, err = dir.Find(t.Context(), "ada")
		require.ErrorIs(t, err, users.ErrUnavailable)
	})
}
