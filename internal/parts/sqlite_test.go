package parts_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // as the build tag sqlite does for package database

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/users"
)

// appDatabase makes an application's database with one table.
func appDatabase(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db.sqlite3")
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "CREATE TABLE auth_user (id INTEGER PRIMARY KEY, username TEXT, password TEXT, is_active BOOL)")
	require.NoError(t, err)
	return path
}

// TestSQLiteCheckAndStart: a file needs no network, so that "config check" says of it what a start
// says.
func TestSQLiteCheckAndStart(t *testing.T) {
	const query, recheck = "SELECT id, username, password FROM auth_user WHERE username = ? AND is_active",
		"SELECT id, username, password FROM auth_user WHERE id = ? AND is_active"
	text := filepath.Join(t.TempDir(), "settings.py")
	require.NoError(t, os.WriteFile(text, []byte("DATABASES = {} # no database, and longer than the header of one: it has a hundred bytes"), 0o600))
	for name, c := range map[string]struct {
		dsn, query, recheck string
		want                string // "": sound
	}{
		"sound":                      {appDatabase(t), query, recheck, ""},
		"a file that is not there":   {filepath.Join(t.TempDir(), "none.sqlite3"), query, recheck, "users.sql.dsn: query: the directory of users cannot answer: sql: unable to open"},
		"a folder":                   {t.TempDir(), query, recheck, "users.sql.dsn: dsn is a folder"},
		"a file that is no database": {text, query, recheck, "users.sql.dsn: query: the directory of users cannot answer: sql: file is not a database"},
		"a table that is not there":  {appDatabase(t), "SELECT id, username, password FROM users WHERE username = ?", recheck, "users.sql.query: query: "},
		"a column that is not there": {appDatabase(t), query, "SELECT id, username, pasword FROM auth_user WHERE id = ?", "users.sql.recheck: recheck: "},
		"a column that is not known": {appDatabase(t), "SELECT id, username, password, is_active AS live FROM auth_user WHERE username = ?", recheck, "users.sql.query: query: "},
	} {
		t.Run("S-62 "+name, func(t *testing.T) {
			cfg, _, err := config.Parse(fmt.Sprintf("store = \"memory\"\ngrants.password = true\n[users]\nsource = \"sql\"\n[users.sql]\n"+
				"driver = \"sqlite\"\ndsn = %q\nquery = %q\nrecheck = %q\n", c.dsn, c.query, c.recheck))
			require.NoError(t, err)
			found := parts.Check(cfg)
			source, started := parts.Users(context.Background(), cfg, nil, users.NewSlots(1))
			if c.want == "" {
				require.Empty(t, found)
				require.NoError(t, started)
				source.Close()
				return
			}
			require.Len(t, found, 1)
			require.Contains(t, found[0].String(), c.want)
			require.ErrorAs(t, started, new(parts.ConfigError))
			require.Contains(t, started.Error(), found[0].Text, "a start says the same")
		})
	}
}
