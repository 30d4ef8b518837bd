package cli

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

// directory is where users are known: what checks them, and what finds them by name.
type directory struct {
	authenticator users.Authenticator // nil: [grants] password is off
	find          users.Directory     // nil: only the application knows
	close         func()
}

// openDirectory opens what [users] names, if the password grant is on.
func openDirectory(ctx context.Context, cfg *config.Config, db *redisdb.DB, people []users.ConfigUser, slots *users.Slots) (*directory, error) {
	d := &directory{close: func() {}}
	if !cfg.Grants.Password {
		return d, nil
	}
	var err error
	switch cfg.Users.Source {
	case "http":
		d.authenticator, err = users.NewHTTP(users.HTTPConfig{URL: cfg.Users.HTTP.URL, Secret: string(cfg.Users.HTTP.Secret)})
		return d, err
	case "sql":
		d.find, d.close, err = openSQL(ctx, cfg.Users.SQL)
	case "redis":
		d.find = users.NewRedis(db)
	default:
		d.find, err = users.NewConfigDirectory(people)
	}
	if err != nil {
		return nil, err
	}
	d.authenticator = users.NewHashing(d.find, slots)
	return d, nil
}

// openSQL opens an application's table. Wrong queries do not start; a database that is away does: log-ins
// are answered 503 until it is back.
func openSQL(ctx context.Context, c config.SQLSource) (users.Directory, func(), error) {
	dir, db, err := prepareSQL(c)
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("users.sql: %w", err)}
	}
	if wrong := dir.Check(ctx); errors.Is(wrong, users.ErrRecord) {
		return nil, nil, usageError{errors.Join(fmt.Errorf("users.sql: %w", wrong), db.Close())}
	}
	return dir, func() { _ = db.Close() }, nil
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
