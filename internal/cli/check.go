package cli

import (
	"context"
	"crypto/tls"
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
)

// load reads the configuration that flag, variable or folder name, and refuses what no server could be made of.
func (p Program) load(o config.Options) (*config.Config, []string, error) {
	cfg, warnings, problems := config.Read(p.options(o))
	if problems = append(problems, preflight(cfg)...); len(problems) > 0 {
		return nil, nil, problems
	}
	return cfg, warnings, nil
}

// loadToStart is load for a start, and for the check before one.
func (p Program) loadToStart(o config.Options) (*config.Config, []string, error) {
	cfg, warnings, err := p.load(o)
	if err != nil {
		return nil, nil, err
	}
	if wrong := expired(cfg.TLS); wrong != nil {
		return nil, nil, config.Errors{cfg.Mistake(wrong.Error(), "tls.cert_file")}
	}
	return cfg, warnings, nil
}

// loadPart reads what a command needs: the keys and tables named. It says on standard error when another part is broken, and goes on.
func (p Program) loadPart(o config.Options, needs ...string) (*config.Config, error) {
	cfg, _, problems := config.Read(p.options(o))
	if wrong := cfg.Problems(needs...); len(wrong) > 0 {
		return nil, wrong
	}
	if len(problems) > 0 {
		fmt.Fprintf(p.Stderr, "grantor: warning: the configuration is broken, but not where this command needs it; \"grantor config check\" tells all. First: %s\n", problems[0])
	}
	return cfg, nil
}

func (p Program) options(o config.Options) config.Options {
	o.Path, o.Environ = p.configPath(o.Path), p.Environ
	if o.Trial {
		o.BuiltIn = p.Shipped
	}
	return o
}

// preflight makes what a start makes, by the same functions, as far as that needs no network and leaves nothing behind. Where
// config found a mistake in the same part already, that one is told alone.
func preflight(cfg *config.Config) (list config.Errors) {
	if !cfg.Whole() {
		return nil
	}
	check := func(part string, err error, keys ...string) {
		if err != nil && len(cfg.Problems(part)) == 0 {
			list = append(list, cfg.Mistake(err.Error(), keys...))
		}
	}
	check("issuer", server.CheckIssuer(cfg.Issuer), "issuer")
	if cfg.Store == config.StoreRedis {
		err := redisConfig(cfg.Redis, nil).Check()
		check("redis", err, redisKeys(err)...)
	}
	_, err := certificate(cfg.TLS)
	check("tls", err, "tls.cert_file", "tls.key_file")
	_, err = wrapOf(cfg)
	check("keys", err, "keys.encryption_key", "keys.previous_encryption_keys")
	if cfg.Grants.Password && cfg.Users.Source == "sql" {
		_, db, err := prepareSQL(cfg.Users.SQL)
		if err == nil {
			err = db.Close()
		}
		check("users.sql", err, "users.sql.dsn", "users.sql.driver")
	}
	for i, t := range cfg.Issuers {
		v, err := assertions.New(assertionsConfig(cfg, never, t))
		if err == nil {
			v.Close()
		}
		key := fmt.Sprintf("trusted_issuers[%d]", i)
		check(key, err, key+".issuer")
	}
	check("audit", checkFile(cfg.Audit.Output), "audit.output")
	return list
}

// never stands for a store of what was seen, where nothing is asked.
func never(context.Context, string, time.Duration) (bool, error) { return false, nil }

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

// expired says whether the certificate is one that no client accepts any more. A reload goes on with it: it is in force already,
// and another change must not wait for it.
func expired(t config.TLS) error {
	pair, err := certificate(t)
	if err != nil || pair == nil {
		return err
	}
	if end := pair.Leaf.NotAfter; time.Now().After(end) {
		return fmt.Errorf("the certificate in %s ended at %s: every client refuses it", t.CertFile, end.UTC().Format(time.RFC3339))
	}
	return nil
}

// certificate reads what serves TLS; nil without [tls] mode = "files".
func certificate(t config.TLS) (*tls.Certificate, error) {
	if t.Mode != "files" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, usageError{fmt.Errorf("cert_file and key_file: %w", err)}
	}
	return &pair, nil
}

// checkFile says whether a file of the trail can be opened, without making it.
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
