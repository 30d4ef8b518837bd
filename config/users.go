package config

import "github.com/grantor-auth/grantor/claims"

// Users says who may use the password grant.
type Users struct {
	Source string      `toml:"source"`
	Scope  string      `toml:"scope"`
	SQL    SQLSource   `toml:"sql"`
	HTTP   HTTPSource  `toml:"http"`
	Config []UserEntry `toml:"config"`
}

// SQLSource reads the table of an existing application; nothing is ever written to it.
type SQLSource struct {
	Driver  string     `toml:"driver"`
	Claims  []string   `toml:"claims_columns"`
	DSN     SecretText `toml:"dsn"`
	Query   string     `toml:"query"`
	Recheck string     `toml:"recheck"`
}

// HTTPSource asks an application over HTTP.
type HTTPSource struct {
	URL    string     `toml:"url"`
	Secret SecretText `toml:"secret"`
}

// UserEntry is one entry of [[users.config]].
type UserEntry struct {
	ID           string     `toml:"id"`
	Username     string     `toml:"username"`
	PasswordHash string     `toml:"password_hash"`
	Scope        string     `toml:"scope"`
	Claims       claims.Set `toml:"claims"`
	Disabled     bool       `toml:"disabled"`
}
