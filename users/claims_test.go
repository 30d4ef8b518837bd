package users_test

import (
	"database/sql"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/users"
	"github.com/grantor-auth/grantor/users/database"
)

func TestHTTPClaims(t *testing.T) {
	answer := ""
	auth := application(t, func(w http.ResponseWriter, _ map[string]string) { _, _ = io.WriteString(w, answer) })
	for text, want := range map[string]string{
		`{"role":"editor","teams":["a","b"]}`: `{"role":"editor","teams":["a","b"]}`, `{}`: "", `null`: "", `{"role":null}`: "",
	} {
		answer = `{"sub":"u-1","claims":` + text + `}`
		u, err := auth.Recheck(t.Context(), "u-1")
		require.NoError(t, err)
		require.Equal(t, want, u.Claims.String())
	}
	for text, want := range map[string]string{
		`["role"]`: "one JSON object", `"role"`: "one JSON object", `{"sub":"u-2"}`: "RFC 7519 §4.1", `{"a":{"b":[null]}}`: "null inside a list",
		`{"a":"` + strings.Repeat("x", 2041) + `"}`: "2049 bytes of JSON",
	} {
		answer = `{"sub":"u-1","claims":` + text + `}`
		_, err := auth.Recheck(t.Context(), "u-1")
		require.ErrorIs(t, err, users.ErrRecord, "ER-06 never a user with half of the claims")
		require.ErrorIs(t, err, users.ErrUnavailable)
		require.ErrorContains(t, err, want)
	}
}

// checkColumns holds claims_columns to their contract, on a table with a row of every kind.
func checkColumns(t *testing.T, dialect users.Dialect, mark string, db *sql.DB, want string) {
	t.Helper()
	const selected = "SELECT id, username, password, role, level, score, plan AS planOf FROM staff WHERE "
	open := func(query string, columns ...string) (*users.SQL, error) {
		return users.NewSQL(db, users.SQLConfig{Dialect: dialect, Query: query + "username = " + mark, Recheck: query + "id = " + mark, ClaimColumns: columns})
	}
	dir, err := open(selected, "role", "level", "score", "planOf")
	require.NoError(t, err)
	require.NoError(t, dir.Check(t.Context()))
	u, err := dir.Find(t.Context(), "ada")
	require.NoError(t, err)
	require.JSONEq(t, want, u.Claims.String())
	again, err := dir.ByID(t.Context(), u.ID)
	require.NoError(t, err)
	require.Equal(t, u, again)
	t.Run("NULL is no claim", func(t *testing.T) {
		u, err := dir.Find(t.Context(), "bob")
		require.NoError(t, err)
		require.True(t, u.Claims.IsZero())
	})
	t.Run("a column of the list that a query does not select is refused by Check", func(t *testing.T) {
		dir, err := open("SELECT id, username, password FROM staff WHERE ", "role")
		require.NoError(t, err)
		require.ErrorContains(t, dir.Check(t.Context()), `the query selects no column "role"`)
	})
	t.Run("a column that is not in the list is refused by Check", func(t *testing.T) {
		dir, err := open(selected, "role", "level", "planOf")
		require.NoError(t, err)
		require.ErrorContains(t, dir.Check(t.Context()), `column "score": a query selects`)
	})
}

func TestClaimsColumns(t *testing.T) {
	insert := "INSERT INTO staff VALUES (1, 'ada', '" + cheap + "', 'editor', 3, 1.5, "
	rest := []string{"INSERT INTO staff VALUES (2, 'bob', '" + cheap + "', NULL, NULL, NULL, NULL)"}
	run := func(t *testing.T, db *sql.DB, statements ...string) {
		t.Helper()
		for _, s := range statements {
			_, err := db.ExecContext(t.Context(), s)
			require.NoError(t, err, s)
		}
	}
	t.Run("PostgreSQL", func(t *testing.T) {
		db := openPostgres(t, append([]string{"CREATE TABLE staff (id int, username text, password text, role varchar(20), level bigint, score double precision, plan jsonb)",
			insert + `'{"seats": 3, "names": ["a"]}')`}, rest...)...)
		checkColumns(t, users.Postgres, "$1", db, `{"role":"editor","level":3,"score":1.5,"planOf":{"seats":3,"names":["a"]}}`)
		t.Run("a time, a boolean, a numeric and a uuid", func(t *testing.T) {
			q := `SELECT id, username, password, true AS vip, timestamptz '2026-01-02 03:04:05+00' AS since, 1.50::numeric AS rate,
				'a81bc81b-dead-4e5d-abff-90865d1e13b1'::uuid AS tenant_id FROM staff WHERE username = $1`
			dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.Postgres, Query: q, Recheck: q, ClaimColumns: []string{"vip", "since", "rate", "tenant_id"}})
			require.NoError(t, err)
			u, err := dir.Find(t.Context(), "ada")
			require.NoError(t, err)
			require.JSONEq(t, `{"vip":true,"since":"2026-01-02T03:04:05Z","rate":"1.50","tenant_id":"a81bc81b-dead-4e5d-abff-90865d1e13b1"}`, u.Claims.String())
		})
		t.Run("ER-06 bytes that are no text, and what is too long, are the directory's fault", func(t *testing.T) {
			for expression, want := range map[string]string{`'\xff'::bytea`: "no text", "repeat('x', 3000)": "bytes of JSON"} {
				q := "SELECT id, username, password, " + expression + " AS a FROM staff WHERE username = $1"
				dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.Postgres, Query: q, Recheck: q, ClaimColumns: []string{"a"}})
				require.NoError(t, err)
				_, err = dir.Find(t.Context(), "ada")
				require.ErrorIs(t, err, users.ErrRecord)
				require.ErrorContains(t, err, want)
			}
		})
	})
	t.Run("MariaDB", func(t *testing.T) {
		dsn := startMariaDB(t)
		admin, err := database.Open(users.MySQL, dsn)
		require.NoError(t, err)
		defer admin.Close()
		require.Eventually(t, func() bool { return admin.PingContext(t.Context()) == nil }, 20*time.Second, 50*time.Millisecond)
		run(t, admin, "CREATE DATABASE app CHARACTER SET utf8mb4")
		db, err := database.Open(users.MySQL, dsn+"app")
		require.NoError(t, err)
		defer db.Close()
		run(t, db, append([]string{"CREATE TABLE staff (id int, username varchar(50), password text, role varchar(20), level bigint, score double, plan text)",
			insert + `'pro')`}, rest...)...)
		checkColumns(t, users.MySQL, "?", db, `{"role":"editor","level":3,"score":1.5,"planOf":"pro"}`)
	})
	t.Run("SQLite", func(t *testing.T) {
		db, err := sql.Open("sqlite", "file:"+t.TempDir()+"/app.db")
		require.NoError(t, err)
		defer db.Close()
		run(t, db, append([]string{"CREATE TABLE staff (id int, username text, password text, role text, level int, score real, plan json)",
			insert + `'["a", 1]')`}, rest...)...)
		checkColumns(t, users.SQLite, "?", db, `{"role":"editor","level":3,"score":1.5,"planOf":["a",1]}`)
	})
}

func TestClaimsColumnsRefused(t *testing.T) {
	const q = "SELECT id, username, password FROM people WHERE username = $1"
	for column, want := range map[string]string{"sub": "RFC 7519 §4.1", "Password": "is the name of another column", "is_active": "is the name of another column",
		"username": "RFC 7662 §2.2", "a b": "letters, digits"} {
		_, err := users.NewSQL(nil, users.SQLConfig{Dialect: users.Postgres, Query: q, Recheck: q, ClaimColumns: []string{column}})
		require.ErrorContains(t, err, want, column)
	}
	_, err := users.NewSQL(nil, users.SQLConfig{Dialect: users.Postgres, Query: q, Recheck: q, ClaimColumns: []string{"role", "Role"}})
	require.ErrorContains(t, err, "is the name of another column")
}

func TestRedisClaims(t *testing.T) {
	dir, _ := openRedis(t)
	set := func(values map[string]any) claims.Set {
		s, err := claims.New(values)
		require.NoError(t, err)
		return s
	}
	u, err := dir.Add(t.Context(), users.NewUser{Username: "ada", PasswordHash: cheap, Claims: set(map[string]any{"role": "reader", "team": "x"})})
	require.NoError(t, err)
	require.NoError(t, dir.ChangeClaims(t.Context(), u.ID, func(had claims.Set) claims.Set { return had.With(set(map[string]any{"role": "editor"})) }))
	u, err = dir.ByID(t.Context(), u.ID)
	require.NoError(t, err)
	require.Equal(t, `{"role":"editor","team":"x"}`, u.Claims.String())
	var reserved claims.Set
	require.NoError(t, reserved.UnmarshalJSON([]byte(`{"sub":"u-2"}`)))
	require.ErrorContains(t, dir.ChangeClaims(t.Context(), u.ID, func(claims.Set) claims.Set { return reserved }), "RFC 7519 §4.1")
	_, err = dir.Add(t.Context(), users.NewUser{Username: "bob", PasswordHash: cheap, Claims: reserved})
	require.ErrorContains(t, err, "RFC 7519 §4.1")
	require.NoError(t, dir.ChangeClaims(t.Context(), u.ID, func(claims.Set) claims.Set { return claims.Set{} }))
	u, err = dir.ByID(t.Context(), u.ID)
	require.NoError(t, err)
	require.True(t, u.Claims.IsZero())
}
