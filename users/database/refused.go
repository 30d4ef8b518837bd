package database

import (
	"errors"

	"github.com/go-sql-driver/mysql"
	"github.com/lib/pq"
)

// Refused says whether the database itself refuses a statement: its text, a name in it, a missing
// right, a write. Asking again cannot help, which tells it from a database that is away. A file of
// SQLite that cannot be opened is refused too: see Unopened.
func Refused(err error) bool {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return refusedState(string(e.Code))
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return refusedState(string(e.SQLState[:])) && e.Number != tooManyConnections && e.Number != tooMuchUse
	}
	code := sqliteCode(err)
	return code == sqliteLogic || code == sqliteReadOnly || Unopened(err)
}

// Unopened says whether a file of SQLite is not there, may not be read, or is no database.
func Unopened(err error) bool {
	code := sqliteCode(err)
	return code == sqliteCannotOpen || code == sqliteNoDatabase
}

// sqliteCode returns a result code of SQLite without its extension; 0: err is none of SQLite.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[sqliteError](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// MySQL counts two limits of a user as faults of a statement.
const (
	tooManyConnections = 1203
	tooMuchUse         = 1226
)

// refusedState judges an SQLSTATE: class 42 is a fault of the statement or its rights, 25006 a
// write in a read-only transaction.
func refusedState(state string) bool {
	return len(state) == 5 && (state[:2] == "42" || state == "25006")
}

// sqliteError is an error of SQLite, whose driver only a build tag links.
type sqliteError interface {
	error
	Code() int
}

// Result codes of SQLite, without their extensions.
const (
	sqliteLogic      = 1
	sqliteReadOnly   = 8
	sqliteCannotOpen = 14
	sqliteNoDatabase = 26
)
