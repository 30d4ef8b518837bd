package users

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Dialect is a kind of SQL database.
type Dialect string

// The dialects.
const (
	Postgres Dialect = "postgres" // one parameter, $1
	MySQL    Dialect = "mysql"    // MySQL and MariaDB: one parameter, ?
	SQLite   Dialect = "sqlite"   // one parameter, ? or ?1
)

// SQLConfig says how an application's users are found.
type SQLConfig struct {
	Dialect Dialect
	// Query finds by login name, Recheck by id. Each is one SELECT with one parameter and the
	// columns id, username and password, and if selected also scope (what the user's tokens may
	// carry; NULL: none of their own) and is_active (false or NULL: disabled). Columns go by
	// name: write "login AS username". No row: no such user. Two rows: refused.
	Query, Recheck string
	// ClaimColumns are columns of both queries that become claims of the user's tokens, under the
	// names that stand here; case does not count in finding them. NULL: no claim. A column of type
	// json or jsonb may hold lists and objects.
	ClaimColumns []string
	// Timeout of one question, waiting for a connection included; 0 is 2 s.
	Timeout time.Duration
}

const defaultSQLTimeout = 2 * time.Second

// SQL is the Directory on the table of an existing application. It reads in read-only transactions
// and never writes.
type SQL struct {
	db  *sql.DB
	cfg SQLConfig
}

// NewSQL returns the directory on an open database, which the caller closes. The error says what is
// wrong with a query; whether the columns are right only the database knows: see Check.
func NewSQL(db *sql.DB, cfg SQLConfig) (*SQL, error) {
	if err := checkQuery(cfg.Dialect, cfg.Query); err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	if err := checkQuery(cfg.Dialect, cfg.Recheck); err != nil {
		return nil, fmt.Errorf("recheck: %w", err)
	}
	if err := checkClaimColumns(cfg.ClaimColumns); err != nil {
		return nil, err
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultSQLTimeout
	}
	return &SQL{db, cfg}, nil
}

// checkQuery says whether a query has the parameter as its driver writes it. Whatever else is wrong
// the database says when Check asks: the transaction is read-only, and a question with a parameter
// is one statement.
func checkQuery(dialect Dialect, query string) error {
	mark, known := map[Dialect]string{Postgres: "$1", MySQL: "?", SQLite: "?"}[dialect]
	switch {
	case !known:
		return fmt.Errorf(`unknown driver %q: it must be "postgres", "mysql" or "sqlite"`, dialect)
	case strings.TrimSpace(query) == "":
		return errors.New("is empty")
	case !strings.Contains(query, mark):
		return fmt.Errorf("needs the parameter %s, as in WHERE username = %s", mark, mark)
	}
	return nil
}

// Check runs both queries with NULL, which equals nothing. It returns an error that wraps ErrRecord
// where the columns are wrong, and ErrUnavailable where the database refuses.
func (d *SQL) Check(ctx context.Context) error {
	for _, q := range []struct{ name, text string }{{"query", d.cfg.Query}, {"recheck", d.cfg.Recheck}} {
		if _, err := d.one(ctx, q.text, nil); err != nil && !errors.Is(err, ErrUnknown) {
			return fmt.Errorf("%s: %w", q.name, err)
		}
	}
	return nil
}

// Find implements Directory.
func (d *SQL) Find(ctx context.Context, name string) (*User, error) {
	return d.one(ctx, d.cfg.Query, name)
}

// ByID implements Directory.
func (d *SQL) ByID(ctx context.Context, id string) (*User, error) {
	return d.one(ctx, d.cfg.Recheck, id)
}

// one asks for the one row that a parameter matches.
func (d *SQL) one(ctx context.Context, query string, parameter any) (*User, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	tx, err := d.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, unavailable("sql", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written, and the connection's fate is the pool's business
	rows, err := tx.QueryContext(ctx, query, parameter)
	if err != nil {
		return nil, unavailable("sql", err)
	}
	defer rows.Close() //nolint:errcheck // reported by rows.Err
	return d.readOne(rows)
}

// readOne reads exactly one row: never the first of several.
func (d *SQL) readOne(rows *sql.Rows) (*User, error) {
	columns, err := d.columnsOf(rows)
	if err != nil {
		return nil, err
	}
	isJSON := d.jsonColumns(rows)
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return nil, unavailable("sql", err)
		}
		return nil, ErrUnknown
	}
	row := newSQLRow(d.cfg.ClaimColumns)
	if err := rows.Scan(row.targets(columns)...); err != nil {
		return nil, unusable("a column holds what is not text")
	}
	if rows.Next() {
		return nil, unusable("the query returned more than one row")
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable("sql", err)
	}
	return row.user(isJSON)
}

// columnsOf returns the names of the columns, in order, if they are the ones that SQLConfig asks
// for.
func (d *SQL) columnsOf(rows *sql.Rows) ([]string, error) {
	known := sqlColumns()
	for _, c := range d.cfg.ClaimColumns {
		known = append(known, strings.ToLower(c))
	}
	columns, err := rows.Columns()
	if err != nil {
		return nil, unavailable("sql", err)
	}
	for i, c := range columns {
		columns[i] = strings.ToLower(c)
		if !slices.Contains(known, columns[i]) || slices.Contains(columns[:i], columns[i]) {
			return nil, unusable("column %q: a query selects id, username, password and if wanted scope, is_active and those of claims_columns, each once; write AS to rename", c)
		}
	}
	for _, needed := range slices.Concat(known[:3], known[len(sqlColumns()):]) {
		if !slices.Contains(columns, needed) {
			return nil, unusable("the query selects no column %q; write AS to rename one", needed)
		}
	}
	return columns, nil
}

func sqlColumns() []string { return []string{"id", "username", "password", "scope", "is_active"} }
