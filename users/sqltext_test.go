package users

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckQuery(t *testing.T) {
	for _, good := range []struct {
		dialect Dialect
		query   string
	}{
		{Postgres, "SELECT id, username, password FROM auth_user WHERE username = $1 AND is_active"},
		{Postgres, "select id::text, username, password from t where username = $1 or email = $1;"},
		{Postgres, "WITH a AS (SELECT 1) SELECT id FROM t WHERE n = $1 -- $2 ; in a comment"},
		{Postgres, "/* ; $2 */ SELECT '$2;', \"$3\", $tag$ $4; ' $tag$, $$ $5 $$ FROM t WHERE data ? 'x' AND n = $1"},
		{MySQL, "SELECT id FROM `a?;` WHERE x = '?' AND y = \"\\\"?\" AND n = ? # ?"},
		{MySQL, "\n SELECT id FROM t WHERE n = 'it''s' OR n = ?\n;\n"},
		{SQLite, "SELECT id FROM [a?] WHERE n = ?"},
		{SQLite, "SELECT id FROM t WHERE n = ?1 OR m = ?1"},
	} {
		require.NoError(t, checkQuery(good.dialect, good.query), good.query)
	}
	for name, bad := range map[string]struct {
		dialect Dialect
		query   string
	}{
		"empty":                 {Postgres, " \n"},
		"no parameter":          {Postgres, "SELECT id FROM t WHERE n = '$1'"},
		"two parameters":        {Postgres, "SELECT id FROM t WHERE n = $1 AND m = $2"},
		"$2 alone":              {Postgres, "SELECT id FROM t WHERE n = $2"},
		"MySQL's mark":          {Postgres, "SELECT id FROM t WHERE n = ?"},
		"PostgreSQL's":          {MySQL, "SELECT id FROM t WHERE n = $1"},
		"two marks":             {MySQL, "SELECT id FROM t WHERE n = ? OR m = ?"},
		"SQLite's two":          {SQLite, "SELECT id FROM t WHERE n = ? OR m = ?"},
		"SQLite's named":        {SQLite, "SELECT id FROM t WHERE n = :name"},
		"SQLite's ?2":           {SQLite, "SELECT id FROM t WHERE n = ?1 OR m = ?2"},
		"two statements":        {Postgres, "SELECT id FROM t WHERE n = $1; DROP TABLE t"},
		"an update":             {Postgres, "UPDATE t SET x = 1 WHERE n = $1"},
		"a delete in a comment": {MySQL, "DELETE /* SELECT */ FROM t WHERE n = ?"},
		"an open quote":         {Postgres, "SELECT 'id FROM t WHERE n = $1"},
		"an open comment":       {Postgres, "SELECT id FROM t WHERE n = $1 /* "},
		"an open dollar quote":  {Postgres, "SELECT $a$ id FROM t WHERE n = $1"},
		"an unknown driver":     {"oracle", "SELECT id FROM t WHERE n = :1"},
	} {
		t.Run(name, func(t *testing.T) { require.Error(t, checkQuery(bad.dialect, bad.query)) })
	}
}
