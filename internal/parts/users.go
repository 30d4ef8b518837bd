package parts

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/users"
	"github.com/grantor-auth/grantor/users/database"
)

// UserSource is what [users] source names: what checks passwords, and what finds users by name.
type UserSource struct {
	Authenticator users.Authenticator // nil: [grants] password is off
	Directory     users.Directory     // nil: only the application finds users
	Close         func()
}

// Users opens what [users] names, if the password grant is on. Passwords are hashed in slots.
func Users(ctx context.Context, cfg *config.Config, db *redisdb.DB, slots *users.Slots) (*UserSource, error) {
	u := &UserSource{Close: func() {}}
	if !cfg.Grants.Password {
		return u, nil
	}
	var err error
	switch cfg.Users.Source {
	case "http":
		u.Authenticator, err = users.NewHTTP(users.HTTPConfig{URL: cfg.Users.HTTP.URL, Secret: string(cfg.Users.HTTP.Secret)})
		return u, err
	case "sql":
		u.Directory, u.Close, err = openSQL(ctx, cfg.Users.SQL)
	case "redis":
		u.Directory = users.NewRedis(db)
	default:
		u.Directory, err = users.NewConfigDirectory(cfg.ConfigUsers())
	}
	if err != nil {
		return nil, err
	}
	u.Authenticator = users.NewHashing(u.Directory, slots)
	return u, nil
}

// openSQL opens an application's table. Wrong queries are refused. A database that does not answer
// is not: logins are answered 503 until the database answers.
func openSQL(ctx context.Context, c config.SQLSource) (users.Directory, func(), error) {
	dir, db, err := prepareSQL(c)
	if err != nil {
		return nil, nil, ConfigError{fmt.Errorf("users.sql: %w", err)}
	}
	if wrong := dir.Check(ctx); wrongQuery(wrong) {
		return nil, nil, ConfigError{errors.Join(fmt.Errorf("users.sql: %w", wrong), db.Close())}
	}
	return dir, func() { _ = db.Close() }, nil
}

// wrongQuery says whether a check found what only another query mends.
func wrongQuery(wrong error) bool {
	fault, ok := errors.AsType[*users.DirectoryError](wrong)
	return ok && (fault.Is(users.ErrRecord) || database.Refused(fault.Cause))
}

// prepareSQL connects to nothing yet.
func prepareSQL(c config.SQLSource) (*users.SQL, *sql.DB, error) {
	db, err := database.Open(users.Dialect(c.Driver), string(c.DSN))
	if err != nil {
		return nil, nil, err
	}
	dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.Dialect(c.Driver), Query: c.Query, Recheck: c.Recheck})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return dir, db, nil
}
