package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/users"
)

// djangoFile makes the table of Django's users in a file of SQLite, by Python's standard library.
const djangoFile = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("CREATE TABLE auth_user (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT, is_active BOOL)")
db.execute("INSERT INTO auth_user VALUES (7, 'ada', ?, 1)", [sys.argv[2]])
db.commit()
`

// TestSQLiteBinaries: with the build tag a user of a file logs in; without it, "config check" and
// "serve" say what to run.
func TestSQLiteBinaries(t *testing.T) {
	python := program(t, "python3", "GRANTOR_TEST_REQUIRE_PYTHON")
	hash, err := users.Hash("correct horse")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "db.sqlite3")
	inFolder(t, t.TempDir(), nil, python, "-c", djangoFile, file, hash)
	d := withUsers(t, "store = \"memory\"\n", `[users]
source = "sql"
scope = "orders:read"
[users.sql]
driver = "sqlite"
dsn = "`+file+`"
query = "SELECT id, username, password FROM auth_user WHERE username = ? AND is_active"
recheck = "SELECT id, username, password FROM auth_user WHERE id = ? AND is_active"
`)
	t.Run("without the tag", func(t *testing.T) {
		for _, command := range [][]string{{"config", "check"}, {"serve"}} {
			c := exec.CommandContext(t.Context(), built(t, module), append(command, "--config", d.config)...)
			out, err := c.CombinedOutput()
			require.Error(t, err)
			require.Equal(t, 2, c.ProcessState.ExitCode())
			require.Contains(t, string(out), `users.sql.dsn: this binary was built without SQLite: run "go run -tags sqlite ."`)
			require.Equal(t, 1, strings.Count(string(out), "\n"), string(out))
		}
	})
	t.Run("with the tag", func(t *testing.T) {
		program := filepath.Join(buildDir, "grantor-sqlite")
		out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "sqlite", "-o", program, module).CombinedOutput()
		require.NoError(t, err, string(out))
		out, err = exec.CommandContext(t.Context(), program, "config", "check", "--config", d.config).CombinedOutput()
		require.NoError(t, err, string(out))
		p := run(t, program, nil, "serve", "--config", d.config, "--listen", "127.0.0.1:0")
		r := login(t, p, "ada", "correct horse")
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, "7", d.introspect(t, p, r.text("access_token")).json["sub"])
		require.NoError(t, os.Remove(file))
		out, err = exec.CommandContext(t.Context(), program, "config", "check", "--config", d.config).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "the file that dsn names must exist")
	})
}
