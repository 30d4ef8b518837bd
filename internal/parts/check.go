package parts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/server"
	"github.com/grantor-auth/grantor/users"
)

// Check opens what a start opens, by the same functions, as far as that needs no network and leaves
// nothing behind. It returns what package config cannot know. Where config found a mistake in a
// part, Check is silent about that part.
func Check(cfg *config.Config) config.Errors {
	if !cfg.Whole() {
		return nil
	}
	c := &check{cfg: cfg}
	c.note("issuer", server.CheckIssuer(cfg.Issuer), "issuer")
	c.redis()
	_, err := Certificate(cfg.TLS)
	c.note("tls", err, "tls.cert_file", "tls.key_file")
	_, err = Authorities(cfg.TLS)
	c.note("tls", err, "tls.client_ca_file")
	_, err = keyWrap(cfg)
	c.note("keys", err, "keys.encryption_key", "keys.previous_encryption_keys")
	c.sql()
	c.issuers()
	c.note("audit", checkFile(cfg.Audit.Output), "audit.output")
	return c.found
}

type check struct {
	cfg   *config.Config
	found config.Errors
}

func (c *check) note(part string, err error, keys ...string) {
	if err != nil && len(c.cfg.Problems(part)) == 0 {
		c.found = append(c.found, c.cfg.Mistake(err.Error(), keys...))
	}
}

func (c *check) redis() {
	if c.cfg.Store == config.StoreRedis {
		err := redisConfig(c.cfg.Redis, nil).Check()
		c.note("redis", err, redisKeys(err)...)
	}
}

func (c *check) sql() {
	if !c.cfg.Grants.Password || c.cfg.Users.Source != "sql" {
		return
	}
	dir, db, err := prepareSQL(c.cfg.Users.SQL)
	if err != nil {
		c.note("users.sql", err, "users.sql.dsn", "users.sql.driver")
		return
	}
	defer db.Close() //nolint:errcheck // it was read
	if users.Dialect(c.cfg.Users.SQL.Driver) != users.SQLite {
		return // to ask takes a network
	}
	ctx, cancel := context.WithTimeout(context.Background(), fileLimit)
	defer cancel()
	err = askSQL(ctx, dir)
	c.note("users.sql", err, sqlKeys(err)...)
}

// fileLimit is how long a file of SQLite may take to answer.
const fileLimit = 5 * time.Second

// sqlKeys returns the keys that an error of askSQL is about.
func sqlKeys(err error) []string {
	switch {
	case errors.Is(err, errFile):
		return []string{"users.sql.dsn"}
	case err != nil && strings.HasPrefix(err.Error(), "recheck: "):
		return []string{"users.sql.recheck"}
	}
	return []string{"users.sql.query"}
}

func (c *check) issuers() {
	never := func(context.Context, string, time.Duration) (bool, error) { return false, nil } // nothing is asked
	for i, t := range c.cfg.Issuers {
		v, err := assertions.New(Assertions(c.cfg, never, t))
		if err == nil {
			v.Close()
		}
		key := fmt.Sprintf("trusted_issuers[%d]", i)
		c.note(key, err, key+".issuer")
	}
}

// redisKeys returns the keys that an error of redisdb is about.
func redisKeys(err error) []string {
	if err == nil {
		return nil
	}
	text := strings.TrimPrefix(err.Error(), "redis: ")
	word, _, _ := strings.Cut(text, " ")
	switch word = strings.TrimSuffix(word, ":"); {
	case slices.Contains([]string{"url", "ca_file", "cert_file", "prefix", "master", "addrs"}, word):
		return []string{"redis." + word}
	case strings.Contains(text, "username"):
		return []string{"redis.username", "redis.sentinel_username", "redis.url"}
	case strings.Contains(text, "unix socket"):
		return []string{"redis.tls", "redis.ca_file", "redis.cert_file", "redis.url"}
	case strings.Contains(text, "db"):
		return []string{"redis.db", "redis.mode"}
	}
	return []string{"redis"}
}

// checkFile says whether a file of the trail can be opened, without making the file.
func checkFile(name string) error {
	if name == "" || name == "stdout" || name == "redis" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0) // #nosec G304 -- the operator's
	if errors.Is(err, fs.ErrNotExist) {
		var folder os.FileInfo
		if folder, err = os.Stat(filepath.Dir(name)); err == nil && !folder.IsDir() {
			err = fmt.Errorf("%s is no folder", filepath.Dir(name))
		}
		return err
	}
	if err != nil {
		return err
	}
	return f.Close()
}
