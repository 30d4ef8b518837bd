package users_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/postgrestest"
	"github.com/grantor-auth/grantor/users"
	"github.com/grantor-auth/grantor/users/database"
)

const umlaut = "p\u00e4ssw\u00f6rd \u2603 e\u0301" // the last two runes are not in NFC

// runDjango runs a program of testdata with Debian's Python and returns the lines that it prints.
func runDjango(t *testing.T, program string, args ...string) []string {
	t.Helper()
	const python = "/usr/bin/python3"
	needs := map[string]string{"Django": "import django"}
	if program == "table.py" {
		needs["psycopg2"] = "try:\n import psycopg\nexcept ImportError:\n import psycopg2"
	}
	for module, probe := range needs {
		if exec.Command(python, "-c", probe).Run() != nil {
			t.Skip("no " + module + " for " + python)
		}
	}
	cmd := exec.CommandContext(t.Context(), python, append([]string{filepath.Join("testdata", program)}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8", "PYTHONDONTWRITEBYTECODE=1")
	var errText strings.Builder
	cmd.Stderr = &errText
	out, err := cmd.Output()
	require.NoError(t, err, errText.String())
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// TestDjangoHashes has the Django of this machine write a hash in every form that it can.
func TestDjangoHashes(t *testing.T) {
	lines := runDjango(t, "hashes.py")
	require.GreaterOrEqual(t, len(lines), 2)
	t.Logf("%d forms", len(lines))
	for _, hash := range lines {
		dir, err := users.NewConfigDirectory([]users.ConfigUser{{ID: "u-1", Username: "ada", PasswordHash: hash}})
		require.NoError(t, err, hash)
		auth := users.NewHashing(dir, users.NewSlots(0))
		_, err = verify(t.Context(), auth, "ada", umlaut)
		require.NoError(t, err, hash)
		_, err = verify(t.Context(), auth, "ada", staple)
		require.ErrorIs(t, err, users.ErrRefused, hash)
	}
}

// The queries of a Django project, as the README has them.
const (
	djangoQuery   = "SELECT id, username, password FROM auth_user WHERE username = $1 AND is_active"
	djangoRecheck = "SELECT id, username, password FROM auth_user WHERE id::text = $1 AND is_active"
)

// TestDjangoTable logs in with users that Django itself made in a PostgreSQL table, and lets Django
// change them.
func TestDjangoTable(t *testing.T) {
	server := postgrestest.Start(t)
	names := runDjango(t, "table.py", server.Folder, "create")
	t.Logf("users: %s", strings.Join(names, ", "))
	require.Contains(t, names, "pbkdf2_sha256")
	db, err := database.Open(users.Postgres, server.DSN)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.Postgres, Query: djangoQuery, Recheck: djangoRecheck})
	require.NoError(t, err)
	require.NoError(t, dir.Check(t.Context()))
	auth := users.NewHashing(dir, users.NewSlots(0))

	for _, name := range append(names, "\u00e9va") {
		t.Run("PW-01 "+name, func(t *testing.T) {
			u, err := verify(t.Context(), auth, name, umlaut)
			require.NoError(t, err)
			_, err = strconv.Atoi(u.ID)
			require.NoError(t, err, "the subject is Django's primary key")
			require.Equal(t, name, u.Username)
			_, err = verify(t.Context(), auth, name, staple)
			require.ErrorIs(t, err, users.ErrRefused)
			again, err := auth.Recheck(t.Context(), u.ID)
			require.NoError(t, err)
			require.Equal(t, u, again)
		})
	}
	for _, name := range []string{"unusable", "inactive", "nobody", "' OR 1=1 --", "%"} {
		t.Run("PW-03 V-09 "+name, func(t *testing.T) {
			_, err := verify(t.Context(), auth, name, umlaut)
			require.ErrorIs(t, err, users.ErrRefused)
		})
	}
	t.Run("RT-18 a password changed in Django is another credential", func(t *testing.T) {
		before, err := verify(t.Context(), auth, "pbkdf2_sha256", umlaut)
		require.NoError(t, err)
		runDjango(t, "table.py", server.Folder, "password", "pbkdf2_sha256", staple)
		now, err := auth.Recheck(t.Context(), before.ID)
		require.NoError(t, err)
		require.NotEqual(t, users.NewFingerprints(nil).Of(before.Credential), users.NewFingerprints(nil).Of(now.Credential))
		_, err = verify(t.Context(), auth, "pbkdf2_sha256", umlaut)
		require.ErrorIs(t, err, users.ErrRefused)
	})
	t.Run("PW-10 V-09 is_active taken away in Django", func(t *testing.T) {
		before, err := verify(t.Context(), auth, "pbkdf2_sha256", staple)
		require.NoError(t, err)
		runDjango(t, "table.py", server.Folder, "deactivate", "pbkdf2_sha256")
		_, err = auth.Recheck(t.Context(), before.ID)
		require.ErrorIs(t, err, users.ErrGone)
		_, err = verify(t.Context(), auth, "pbkdf2_sha256", staple)
		require.ErrorIs(t, err, users.ErrRefused)
	})
}
