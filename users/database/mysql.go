package database

import (
	"database/sql"
	"errors"

	"github.com/go-sql-driver/mysql"
)

func openMySQL(dsn string) (*sql.DB, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, errMySQL()
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = connectLimit
	}
	cfg.MultiStatements = false
	cfg.Logger = &mysql.NopLogger{} // it would write to stderr what it also returns
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, errMySQL()
	}
	return sql.OpenDB(connector), nil
}

func errMySQL() error {
	return errors.New(`dsn is no MySQL data source name, as in "user:password@tcp(host:3306)/database?tls=true"`)
}
