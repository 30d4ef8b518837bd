package integration_test

import (
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/postgrestest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// django runs the program of package users that makes and changes users by Django itself.
func django(t *testing.T, args ...string) []string {
	t.Helper()
	const python = "/usr/bin/python3"
	for module, probe := range map[string]string{"Django": "import django", "psycopg2": "try:\n import psycopg\nexcept ImportError:\n import psycopg2"} {
		if exec.Command(python, "-c", probe).Run() != nil {
			require.Empty(t, os.Getenv("GRANTOR_TEST_REQUIRE_PYTHON"), "no "+module+" for "+python)
			t.Skip("no " + module + " for " + python)
		}
	}
	cmd := exec.CommandContext(t.Context(), python, append([]string{"../users/testdata/table.py"}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8", "PYTHONDONTWRITEBYTECODE=1")
	var errText strings.Builder
	cmd.Stderr = &errText
	out, err := cmd.Output()
	require.NoError(t, err, errText.String())
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// The password that table.py gives everybody; its last two runes are not in NFC.
const djangoPassword = "p\u00e4ssw\u00f6rd \u2603 e\u0301"

func TestDjango(t *testing.T) {
	server := postgrestest.Start(t)
	names := django(t, server.Folder, "create")
	require.Contains(t, names, "pbkdf2_sha256")
	directory := `[users]
source = "sql"
scope = "orders:read"
[users.sql]
driver = "postgres"
dsn = "` + server.DSN + `"
query = "SELECT id, username, password FROM auth_user WHERE username = $1 AND is_active"
recheck = "SELECT id, username, password FROM auth_user WHERE id::text = $1 AND is_active"
`
	d := withUsers(t, redisStore(redistest.Start(t)), directory)
	p := d.serve(t)
	logins := map[string]reply{}
	for _, name := range names {
		t.Run("PW-01 a user whom Django made logs in: "+name, func(t *testing.T) {
			r := login(t, p, name, djangoPassword)
			require.Equal(t, 200, r.status, r.body)
			logins[name] = r
			about := d.introspect(t, p, r.text("access_token"))
			require.Equal(t, name, about.json["username"])
			_, err := strconv.Atoi(about.text("sub"))
			require.NoError(t, err, "the subject is Django's primary key")
			require.Equal(t, 400, login(t, p, name, "wrong").status)
		})
	}
	ends := func(t *testing.T, name string) {
		r := refresh(t, p, "app", logins[name].text("refresh_token"))
		require.Equal(t, 400, r.status, r.body)
		require.Equal(t, "invalid_grant", r.json["error"])
		require.Equal(t, dead, d.introspect(t, p, logins[name].text("access_token")).body)
	}
	require.GreaterOrEqual(t, len(names), 2)
	t.Run("RT-18 SB-08 a password changed in Django ends the session at its next refresh", func(t *testing.T) {
		django(t, server.Folder, "password", names[0], "another good password")
		ends(t, names[0])
		require.Equal(t, 200, login(t, p, names[0], "another good password").status)
	})
	t.Run("PW-10 V-09 is_active taken away in Django ends it too", func(t *testing.T) {
		django(t, server.Folder, "deactivate", names[1])
		ends(t, names[1])
		require.Equal(t, 400, login(t, p, names[1], djangoPassword).status)
	})
}

// TestUsersAreNotTold: unknown, wrong and disabled cannot be told apart by answer or time.
// TestLockedUsersAreNotTold adds the locked.
func TestUsersAreNotTold(t *testing.T) {
	d := withUsers(t, redisStore(redistest.Start(t))+"limits.password_failures = -1\nlimits.password_failures_per_address = -1\n", configUsers()+
		"[[users.config]]\nid = \"u-2\"\nusername = \"bob\"\ndisabled = true\npassword_hash = \""+adaHash()+"\"\n")
	p := d.serve(t)
	t.Run("S-03 S-05 the same words, status and headers", func(t *testing.T) {
		want := login(t, p, "nobody", "wrong")
		for _, got := range []reply{login(t, p, "ada", "wrong"), login(t, p, "bob", "wrong"), login(t, p, "bob", adaPassword)} {
			require.Equal(t, want.status, got.status)
			require.Equal(t, want.body, got.body)
			require.Equal(t, headerNames(want), headerNames(got))
		}
	})
	t.Run("S-02 and the same time", func(t *testing.T) {
		guess := func(name string) reply { return login(t, p, name, "wrong password") }
		equalTimes(t, "wrong", map[string]func(i int) reply{
			"unknown":  func(i int) reply { return guess(fmt.Sprintf("nobody-%d", i)) },
			"wrong":    func(int) reply { return guess("ada") },
			"disabled": func(int) reply { return guess("bob") },
		})
	})
}

func headerNames(r reply) (names []string) {
	for name := range r.header {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
