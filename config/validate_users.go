package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/users"
)

// refreshTTLs checks the lifetimes of sessions, and the retry window (nil: the default), of the
// server or of one client.
func (d *decoder) refreshTTLs(key string, idle, absolute time.Duration, window *time.Duration, access time.Duration) {
	if idle < time.Second || absolute < idle {
		d.clash([]string{d.effective(key, "refresh_ttl"), d.effective(key, "refresh_max_ttl")},
			"refresh_ttl must be 1s or more, and at most refresh_max_ttl, the maximum lifetime of a session")
	}
	if window != nil && (*window < 0 || *window > access/4) {
		d.clash([]string{key + ".retry_window", d.effective(key, "access_ttl")},
			"retry_window must be between 0s and a quarter of access_ttl, here %s: within it, a stolen refresh token can be used again", access/4)
	}
}

// serverRetryWindow reads [tokens] retry_window; nil: the default.
func (d *decoder) serverRetryWindow() *time.Duration {
	if d.cfg.Tokens.RetryWindow == "" {
		return nil
	}
	v, err := ParseDuration(d.cfg.Tokens.RetryWindow)
	if err != nil {
		d.bad("tokens.retry_window", "%s", err)
		return nil
	}
	return &v
}

// effective returns the key that a value of a client comes from: its own, or that of [tokens].
func (d *decoder) effective(key, name string) string {
	if _, own := d.where[join(key, name)]; own {
		return join(key, name)
	}
	return join("tokens", name)
}

// RetryWindow returns the server's retry window: 0 is the default, negative is never.
func (c *Config) RetryWindow() time.Duration {
	v, err := ParseDuration(c.Tokens.RetryWindow)
	if err == nil && v == 0 {
		return -1
	}
	return v
}

func (d *decoder) users() {
	u := d.cfg.Users
	d.choice("users.source", u.Source, "config", "redis", "sql", "http")
	var err error
	if d.cfg.userScope, err = scopes.ParseRules(u.Scope); err == nil {
		err = d.checkUserScope(d.cfg.userScope)
	}
	if err != nil {
		d.bad("users.scope", "%s", err)
	}
	if u.Source != "config" && len(u.Config) > 0 {
		d.bad("users.config", "is used only with source = \"config\"")
	}
	if d.cfg.Grants.Password {
		d.directory(u)
	}
	for i, entry := range u.Config {
		person := users.ConfigUser{ID: entry.ID, Username: entry.Username, PasswordHash: entry.PasswordHash, Claims: entry.Claims, Disabled: entry.Disabled}
		if entry.Scope != "" {
			rules, err := scopes.ParseRules(entry.Scope)
			if err == nil && users.CheckScope(rules) == nil { // NewConfigDirectory reports the rest
				err = d.checkUserScope(rules)
			}
			if err != nil {
				d.bad(fmt.Sprintf("users.config[%d].scope", i), "%s", err)
			}
			person.Scope = &rules
		}
		d.cfg.users = append(d.cfg.users, person)
	}
	_, err = users.NewConfigDirectory(d.cfg.users)
	for _, e := range flatten(err) {
		if f, ok := errors.AsType[*users.ConfigUserError](e); ok {
			d.bad(fmt.Sprintf("users.config[%d].%s", f.Index, f.Field), "%s", f.Err)
		}
	}
}

// checkUserScope holds rules against the scopes that exist, if those can be read.
func (d *decoder) checkUserScope(rules scopes.Rules) error {
	if d.cfg.catalogue == nil {
		return users.CheckScope(rules)
	}
	return users.CheckKnownScope(rules, d.cfg.catalogue)
}

// directory checks that the chosen directory can be asked.
func (d *decoder) directory(u Users) {
	switch u.Source {
	case "redis":
		if d.cfg.Store != StoreRedis {
			d.clash([]string{"users.source", "store"}, "\"redis\" needs store = \"redis\"")
		}
	case "sql":
		d.choice("users.sql.driver", u.SQL.Driver, "postgres", "mysql", "sqlite")
		for key, v := range map[string]string{"dsn": string(u.SQL.DSN), "query": u.SQL.Query, "recheck": u.SQL.Recheck} {
			if v == "" {
				d.bad("users.sql."+key, "is required with source = \"sql\"")
			}
		}
		if u.SQL.Query != "" && u.SQL.Recheck != "" {
			if _, err := users.NewSQL(nil, users.SQLConfig{Dialect: users.Dialect(u.SQL.Driver), Query: u.SQL.Query, Recheck: u.SQL.Recheck, ClaimColumns: u.SQL.Claims}); err != nil {
				key := "users.sql.query"
				if strings.HasPrefix(err.Error(), "claims_columns: ") {
					key = "users.sql.claims_columns"
				}
				d.bad(key, "%s", strings.TrimPrefix(err.Error(), "claims_columns: "))
			}
		}
	case "http":
		if _, err := users.NewHTTP(users.HTTPConfig{URL: u.HTTP.URL, Secret: string(u.HTTP.Secret)}); err != nil {
			d.bad("users.http", "%s", err)
		}
	}
}

// maxSessionsPerUser is the highest maximum: a login beyond it looks at all sessions of the user.
const maxSessionsPerUser = 1000

// passwordWarnings are about the password grant.
func (d *decoder) passwordWarnings() (list []string) {
	asking := 0
	for _, c := range d.cfg.clients {
		if !c.MayUse(clients.GrantPassword) {
			continue
		}
		asking++
		if !d.cfg.Grants.Password {
			list = append(list, fmt.Sprintf("client %q has the password grant, but [grants] password = false disables it", c.ID))
		}
	}
	if d.cfg.Grants.Password && asking > 0 {
		list = append(list, "the password grant is on: RFC 9700 §2.4 forbids it, because clients see the passwords; use it only for your own apps")
	}
	if d.cfg.Grants.Password && d.cfg.Limits.PasswordFailures == -1 {
		list = append(list, "limits.password_failures is off: nothing limits attempts to guess passwords")
	}
	if d.cfg.Grants.Password && d.cfg.Limits.SessionsPerUser == -1 {
		list = append(list, "limits.sessions_per_user is off: each login of a user takes space in Redis for as long as refresh_ttl says")
	}
	for _, p := range d.cfg.users {
		if d.cfg.Grants.Password && d.cfg.catalogue != nil {
			if nothing := users.MayNothing(&users.User{Scope: p.Scope}, d.cfg.userScope, d.cfg.catalogue); nothing != "" {
				list = append(list, fmt.Sprintf("user %q: %s", p.Username, nothing))
			}
		}
	}
	return list
}
