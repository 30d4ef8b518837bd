package database

import (
	"errors"

	"github.com/go-sql-driver/mysql"
	"github.com/lib/pq"
)

// Refused says whether the database itself refuses a statement: its text, a name in it, a missing
// right, a write. Asking again cannot help, which tells it from a database that is away.
func Refused(err error) bool {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return refusedState(string(e.Code))
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return refusedState(string(e.SQLState[:])) && e.Number != tooManyConnections && e.Number != tooMuchUse
	}
	e, ok := errors.AsType[sqliteError](err)
	return ok && (e.Code()&0xff == sqliteLogic || e.Code()&0xff == sqliteReadOnly)
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
	sqliteLogic    = 1
	sqliteReadOnly = 8
)
