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
	if wrong := askSQL(ctx, dir); wrong != nil {
		return nil, nil, ConfigError{errors.Join(fmt.Errorf("users.sql: %w", wrong), db.Close())}
	}
	return dir, func() { _ = db.Close() }, nil
}

// errFile is what to do about a file of SQLite that cannot be opened.
var errFile = errors.New("the file that dsn names must exist, be a SQLite database, and be readable by the user that runs Grantor")

// askSQL asks the database both queries. It returns an error where only another configuration
// helps: nil does not mean that the database answers.
func askSQL(ctx context.Context, dir *users.SQL) error {
	wrong := dir.Check(ctx)
	fault, ok := errors.AsType[*users.DirectoryError](wrong)
	switch {
	case ok && database.Unopened(fault.Cause):
		return fmt.Errorf("%w: %w", wrong, errFile)
	case ok && (fault.Is(users.ErrRecord) || database.Refused(fault.Cause)):
		return wrong
	}
	return nil
}

// prepareSQL connects to nothing yet.
func prepareSQL(c config.SQLSource) (*users.SQL, *sql.DB, error) {
	db, err := database.Open(users.Dialect(c.Driver), string(c.DSN))
	if err != nil {
		return nil, nil, err
	}
	dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.Dialect(c.Driver), Query: c.Query, Recheck: c.Recheck, ClaimColumns: c.Claims})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return dir, db, nil
}

// AskSQL asks the database of [users.sql] both queries, for no user. Any error is returned, also
// that of a database that does not answer.
func AskSQL(ctx context.Context, cfg *config.Config) error {
	dir, db, err := prepareSQL(cfg.Users.SQL)
	if err != nil {
		return err
	}
	return errors.Join(dir.Check(ctx), db.Close())
}
