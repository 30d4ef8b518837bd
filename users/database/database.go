// Package database opens an application's SQL database for package users. It links the drivers, all
// of them in Go, so that users itself links none: lib/pq, go-sql-driver/mysql and, with the build
// tag sqlite, modernc.org/sqlite.
//
// Open connects to nothing yet. A DSN holds a password: no error of this package quotes one.
package database

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/users"
)

// Bounds of the pool: a login asks one short question.
const (
	maxOpen      = 16
	maxIdle      = 4
	maxIdleTime  = 5 * time.Minute
	maxLifetime  = 30 * time.Minute // follows a failover or a changed password of the database
	connectLimit = 3 * time.Second  // where the DSN does not say
)

// Open returns a pool of connections to the database that dsn names. Close it after use.
func Open(dialect users.Dialect, dsn string) (*sql.DB, error) {
	if dsn == "" {
		return nil, errors.New("dsn is empty")
	}
	db, err := open(dialect, dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(maxOpen)
	db.SetMaxIdleConns(maxIdle)
	db.SetConnMaxIdleTime(maxIdleTime)
	db.SetConnMaxLifetime(maxLifetime)
	return db, nil
}

func open(dialect users.Dialect, dsn string) (*sql.DB, error) {
	switch dialect {
	case users.Postgres:
		return openPostgres(dsn)
	case users.MySQL:
		return openMySQL(dsn)
	case users.SQLite:
		return openSQLite(dsn)
	}
	return nil, fmt.Errorf(`unknown driver %q: it must be "postgres", "mysql" or "sqlite"`, dialect)
}
