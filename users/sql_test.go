package users_test

import (
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // as the build tag sqlite does for package database

	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/users"
	"github.com/grantor-auth/grantor/users/database"
)

// people are the rows of a test's table: id, username, password, scope, is_active.
func people() [][]any {
	return [][]any{
		{1, "ada", cheap, "orders:read", true},
		{2, "bob", cheap, nil, true},
		{3, "eve", cheap, "", false},
		{4, "nil", nil, nil, true},
		{5, "twin", cheap, nil, true},
		{6, "twin", cheap, nil, true},
		{7, "root", cheap, "grantor:admin", true},
		{8, "odd", cheap, `a"b`, true},
		{9, "unsure", cheap, nil, nil},
	}
}

// checkPeople holds a directory on the table of people to its contract.
func checkPeople(t *testing.T, dir *users.SQL) {
	t.Helper()
	require.NoError(t, dir.Check(t.Context()))
	auth := users.NewHashing(dir, users.NewSlots(0))
	t.Run("PW-01 with a scope of one's own", func(t *testing.T) {
		u, err := verify(t.Context(), auth, "ada", staple)
		require.NoError(t, err)
		require.Equal(t, "1", u.ID, "an id is text whatever its type")
		require.Equal(t, "orders:read", u.Rules(scopes.Rules{}).String())
		now, err := auth.Recheck(t.Context(), u.ID)
		require.NoError(t, err)
		require.Equal(t, u, now)
	})
	t.Run("PW-01 with none", func(t *testing.T) {
		u, err := verify(t.Context(), auth, "bob", staple)
		require.NoError(t, err)
		require.Nil(t, u.Scope)
	})
	for name, reason := range map[string]users.LoginReason{
		"nobody": users.ReasonUnknown, "eve": users.ReasonDisabled, "unsure": users.ReasonDisabled,
		"nil":         users.ReasonNoPassword,
		"' OR '1'='1": users.ReasonUnknown, "ada'; DROP TABLE people; --": users.ReasonUnknown, "%": users.ReasonUnknown,
	} {
		t.Run("PW-04 "+string(reason)+" "+name, func(t *testing.T) {
			_, err := verify(t.Context(), auth, name, staple)
			var refusal *users.LoginError
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, reason, refusal.Reason)
			require.Equal(t, users.ErrRefused.Error(), err.Error())
		})
	}
	for _, name := range []string{"twin", "root", "odd"} {
		t.Run("ER-06 a row that cannot be used is the directory's fault: "+name, func(t *testing.T) {
			_, err := verify(t.Context(), auth, name, staple)
			require.ErrorIs(t, err, users.ErrRecord)
			require.ErrorIs(t, err, users.ErrUnavailable)
			require.NotErrorIs(t, err, users.ErrRefused)
			require.NotErrorIs(t, err, scopes.ErrSyntax, "a mistake in the table is none of the request")
		})
	}
	t.Run("RT-18 recheck", func(t *testing.T) {
		_, err := auth.Recheck(t.Context(), "3")
		require.ErrorIs(t, err, users.ErrGone, "disabled")
		_, err = auth.Recheck(t.Context(), "99")
		require.ErrorIs(t, err, users.ErrGone, "no row")
		_, err = auth.Recheck(t.Context(), "7")
		require.ErrorIs(t, err, users.ErrUnavailable, "a row that cannot be used ends nothing")
	})
}

// openSQLite returns a file with the statements run, opened as Open opens it: for reading.
func openSQLite(t *testing.T, statements ...string) *sql.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app ?#%.db")
	rw, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath())
	require.NoError(t, err)
	defer rw.Close()
	for _, s := range statements {
		_, err := rw.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
	if len(statements) > 0 {
		insertPeople(t, rw, "INSERT INTO people VALUES (?, ?, ?, ?, ?)")
	}
	db, err := database.Open(users.SQLite, path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func insertPeople(t *testing.T, db *sql.DB, insert string) {
	t.Helper()
	for _, p := range people() {
		_, err := db.ExecContext(t.Context(), insert, p...)
		require.NoError(t, err)
	}
}

func TestSQLite(t *testing.T) {
	db := openSQLite(t, "CREATE TABLE people (id INTEGER PRIMARY KEY, username TEXT, password TEXT, scope TEXT, is_active BOOLEAN)")
	dir, err := users.NewSQL(db, users.SQLConfig{
		Dialect: users.SQLite,
		Query:   "SELECT id, username, password, scope, is_active FROM people WHERE username = ?",
		Recheck: "SELECT id, username, password, scope, is_active FROM people WHERE id = ?1 OR id = ?1",
	})
	require.NoError(t, err)
	checkPeople(t, dir)
	t.Run("the file is opened for reading only", func(t *testing.T) {
		_, err := db.ExecContext(t.Context(), "DELETE FROM people")
		require.Error(t, err)
	})
	t.Run("a missing file is no answer, and is not made", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "none.db")
		db, err := database.Open(users.SQLite, path)
		require.NoError(t, err)
		defer db.Close()
		dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.SQLite, Query: "SELECT 1 WHERE ?", Recheck: "SELECT 1 WHERE ?"})
		require.NoError(t, err)
		_, err = dir.Find(t.Context(), "ada")
		require.ErrorIs(t, err, users.ErrUnavailable)
		require.NoFileExists(t, path)
	})
	t.Run("ER-06 a table that is away is neither yes nor no", func(t *testing.T) {
		dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.SQLite, Query: "SELECT id, username, password FROM gone WHERE username = ?", Recheck: "SELECT id, username, password FROM gone WHERE id = ?"})
		require.NoError(t, err)
		require.ErrorIs(t, dir.Check(t.Context()), users.ErrUnavailable)
		checkRefused(t, users.SQLite, "?", db)
		auth := users.NewHashing(dir, users.NewSlots(0))
		_, err = verify(t.Context(), auth, "ada", staple)
		require.ErrorIs(t, err, users.ErrUnavailable)
		_, err = auth.Recheck(t.Context(), "1")
		require.ErrorIs(t, err, users.ErrUnavailable)
	})
	for name, columns := range map[string]string{
		"in another order is fine":  "password, id, username",
		"renamed is fine":           "id AS ID, username AS UserName, password",
		"a missing one":             "id, username",
		"an unknown one":            "id, username, password, scope AS scopes",
		"one twice":                 "id, id, username, password",
		"everything":                "*, 1 AS more",
		"an id that is no subject":  "'a b' AS id, username, password",
		"a NULL id":                 "NULL AS id, username, password",
		"an is_active that is none": "id, username, password, 'perhaps' AS is_active",
	} {
		t.Run("columns: "+name, func(t *testing.T) {
			q := "SELECT " + columns + " FROM people WHERE username = ?"
			dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.SQLite, Query: q, Recheck: q})
			require.NoError(t, err)
			u, err := dir.Find(t.Context(), "ada")
			if name == "in another order is fine" || name == "renamed is fine" {
				require.NoError(t, err)
				require.Equal(t, "1", u.ID)
				return
			}
			require.ErrorIs(t, err, users.ErrRecord)
		})
	}
}

func TestPostgres(t *testing.T) {
	db := openPostgres(t,
		"CREATE TABLE people (id bigint PRIMARY KEY, username text, password char(128), scope text, is_active boolean)",
		"CREATE TABLE things (id uuid, username text, password text)",
		"INSERT INTO things VALUES ('a81bc81b-dead-4e5d-abff-90865d1e13b1', 'ada', '"+cheap+"')",
		"CREATE SEQUENCE counter",
	)
	insertPeople(t, db, "INSERT INTO people VALUES ($1, $2, $3, $4, $5)")
	open := func(query, recheck string) *users.SQL {
		dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.Postgres, Query: query, Recheck: recheck})
		require.NoError(t, err)
		return dir
	}
	const columns = "SELECT id, username, password, scope, is_active FROM people WHERE "
	checkPeople(t, open(columns+"username = $1 OR 'mail:' || username = $1", columns+"id = $1"))
	t.Run("a uuid is its text", func(t *testing.T) {
		dir := open("SELECT id, username, password FROM things WHERE username = $1", "SELECT id, username, password FROM things WHERE id = $1")
		require.NoError(t, dir.Check(t.Context()))
		u, err := dir.Find(t.Context(), "ada")
		require.NoError(t, err)
		require.Equal(t, "a81bc81b-dead-4e5d-abff-90865d1e13b1", u.ID)
		again, err := dir.ByID(t.Context(), u.ID)
		require.NoError(t, err)
		require.Equal(t, u, again)
	})
	for name, q := range map[string]string{
		"by UPDATE":     "UPDATE people SET username = username WHERE username = $1 RETURNING id, username, password",
		"by WITH":       "WITH gone AS (DELETE FROM people RETURNING *) SELECT id, username, password FROM gone WHERE username = $1",
		"by a sequence": "SELECT nextval('counter') AS id, username, password FROM people WHERE username = $1",
	} {
		t.Run("never written to "+name, func(t *testing.T) {
			_, err := open(q, q).Find(t.Context(), "ada")
			require.ErrorIs(t, err, users.ErrUnavailable)
			require.ErrorContains(t, err, "read-only transaction")
			require.True(t, refused(err))
		})
	}
	checkRefused(t, users.Postgres, "$1", db)
	t.Run("ER-06 a slow database is no answer", func(t *testing.T) {
		q := "SELECT id, username, password FROM people, pg_sleep(30) WHERE username = $1"
		dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.Postgres, Query: q, Recheck: q, Timeout: 50 * time.Millisecond})
		require.NoError(t, err)
		_, err = dir.Find(t.Context(), "ada")
		require.ErrorIs(t, err, users.ErrUnavailable)
	})
}

// refused says whether a check found a query that the database itself refuses.
func refused(err error) bool {
	fault, ok := errors.AsType[*users.DirectoryError](err)
	return ok && database.Refused(fault.Cause)
}

// checkRefused holds a database to telling a wrong query from a question that it could not answer.
func checkRefused(t *testing.T, dialect users.Dialect, mark string, db *sql.DB) {
	t.Helper()
	check := func(q string) error {
		dir, err := users.NewSQL(db, users.SQLConfig{Dialect: dialect, Query: q, Recheck: q})
		require.NoError(t, err)
		return dir.Check(t.Context())
	}
	for name, q := range map[string]string{
		"a table that is not there":  "SELECT id, username, password FROM nobody WHERE username = " + mark,
		"a column that is not there": "SELECT id, username, pasword FROM people WHERE username = " + mark,
		"no SQL":                     "SELEC id, username, password FROM people WHERE username = " + mark,
		"UPDATE":                     "UPDATE people SET username = username WHERE username = " + mark,
		"two statements":             "SELECT id, username, password FROM people WHERE username = " + mark + "; DELETE FROM people",
	} {
		if dialect == users.SQLite && name == "two statements" {
			continue // SQLite's driver runs both, read-only
		}
		t.Run("ER-06 a wrong query is not taken for a database that is away: "+name, func(t *testing.T) {
			require.True(t, refused(check(q)), "%v", check(q))
		})
	}
	require.NoError(t, check("SELECT id, username, password FROM people WHERE username = "+mark))
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		dialect users.Dialect
		dsn     string
	}{
		"postgres": {users.Postgres, "postgres://u:s3cr3t@host:notaport/db"},
		"mysql":    {users.MySQL, "u:s3cr3t@tcp(host:3306"},
		"sqlite":   {users.SQLite, "file:x?s3cr3t=%zz"},
		"memory":   {users.SQLite, ":memory:"},
		"empty":    {users.Postgres, ""},
		"unknown":  {"oracle", "u:s3cr3t@host"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := database.Open(c.dialect, c.dsn)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "s3cr3t")
		})
	}
	for name, c := range map[string]struct {
		dialect users.Dialect
		dsn     string
	}{
		"postgres": {users.Postgres, "postgres://u:s3cr3t@127.0.0.1:1/db"},
		"mysql":    {users.MySQL, "u:s3cr3t@tcp(127.0.0.1:1)/db"},
	} {
		t.Run("nobody listens: "+name, func(t *testing.T) {
			db, err := database.Open(c.dialect, c.dsn)
			require.NoError(t, err)
			defer db.Close()
			q := map[users.Dialect]string{users.Postgres: "SELECT $1", users.MySQL: "SELECT ?"}[c.dialect]
			dir, err := users.NewSQL(db, users.SQLConfig{Dialect: c.dialect, Query: q, Recheck: q})
			require.NoError(t, err)
			_, err = dir.Find(t.Context(), "ada")
			require.ErrorIs(t, err, users.ErrUnavailable)
			require.NotContains(t, err.Error(), "s3cr3t")
			require.False(t, refused(err), "who is away refuses nothing")
		})
	}
}

func TestSQLParameter(t *testing.T) {
	for driver, query := range map[users.Dialect]string{
		users.Postgres: "SELECT id FROM t WHERE n = ?", users.MySQL: "SELECT id FROM t WHERE n = $1",
		users.SQLite: " \n", "oracle": "SELECT id FROM t WHERE n = :1",
	} {
		_, err := users.NewSQL(nil, users.SQLConfig{Dialect: driver, Query: query, Recheck: query})
		require.Error(t, err, "%s: %s", driver, query)
	}
}
