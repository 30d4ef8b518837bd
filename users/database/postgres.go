package database

import (
	"database/sql"
	"errors"

	"github.com/lib/pq"
)

func openPostgres(dsn string) (*sql.DB, error) {
	cfg, err := pq.NewConfig(dsn)
	if err != nil {
		return nil, errors.New(`dsn is no PostgreSQL connection string, as in "postgres://user:password@host:5432/database?sslmode=verify-full"`)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectLimit
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = "grantor"
	}
	c, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, errors.New("dsn names a certificate or another file that cannot be read, or settings that do not go together")
	}
	return sql.OpenDB(c), nil
}
