package database

import (
	"database/sql"
	"errors"
	"net/url"
	"os"
	"slices"
	"strings"
)

// errNoSQLite: the driver adds two fifths to the CPU time of a first build (120 to 172 s) and 6 MB
// to the binary, so a plain "go run ." leaves it out.
var errNoSQLite = errors.New(`this binary was built without SQLite: run "go run -tags sqlite .", ` +
	`or "go install -tags sqlite github.com/grantor-auth/grantor@latest"; "make build" and the image have it`)

// openSQLite opens a file that exists, read-only. dsn is its path, or a "file:" URI.
func openSQLite(dsn string) (*sql.DB, error) {
	if !slices.Contains(sql.Drivers(), "sqlite") {
		return nil, errNoSQLite
	}
	if info, err := os.Stat(dsn); err == nil && info.IsDir() {
		return nil, errors.New("dsn is a folder: it must name the database's file in it")
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
