package database

import (
	"database/sql"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// errNoSQLite: compiling the driver takes as long as half of everything else, so a plain "go run ."
// leaves it out.
var errNoSQLite = errors.New("this binary was built without SQLite: build it with -tags sqlite, as \"make build\" and the image do")

// openSQLite opens a file that exists, read-only. dsn is its path, or a "file:" URI.
func openSQLite(dsn string) (*sql.DB, error) {
	if !slices.Contains(sql.Drivers(), "sqlite") {
		return nil, errNoSQLite
	}
	path, query, _ := strings.Cut(dsn, "?")
	if !strings.HasPrefix(dsn, "file:") {
		// A plain path may hold any character; and the driver heeds mode=ro in URIs alone.
		path, query = "file:"+(&url.URL{Path: dsn}).EscapedPath(), ""
	}
	params, err := url.ParseQuery(query)
	if err != nil || strings.HasPrefix(path, "file::memory:") || strings.Contains(dsn, ":memory:") {
		return nil, errors.New(`dsn is no SQLite database, as in "/var/lib/app/db.sqlite3"`)
	}
	params.Set("mode", "ro")
	if !params.Has("_busy_timeout") {
		params.Set("_busy_timeout", "1000") // milliseconds that a writer may keep us waiting
	}
	return sql.Open("sqlite", path+"?"+params.Encode())
}
