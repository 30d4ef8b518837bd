package parts

import (
	"context"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/server"
	"github.com/grantor-auth/grantor/users"
)

// Manager returns the one place behind commands and APIs that change clients.
func Manager(cfg *config.Config, d *clients.Redis, epochs clients.Epochs) *clients.Manager {
	m := &clients.Manager{
		Redis: d, Configured: cfg.Registrations(), Epochs: epochs, Catalogue: cfg.Catalogue(), MaxTTL: cfg.LongestSession(),
		Certificates: cfg.TLS.Certificates(),
		CheckURL:     jwt.NewFetcher(jwt.Options{}).Check,
		CheckSlow:    users.CheckSecretHash,
	}
	if cfg.Keys.EncryptionKey != "" {
		m.Algorithms = cfg.SigningAlgorithms()
	}
	m.Issuers = cfg.TrustedIssuers()
	return m
}

// maxSecretFailures is how many wrong secrets of a client are checked by a slow hash within the
// window of [limits], where client_failures is off: such a secret can be guessed.
const maxSecretFailures = 20

// SecretLockout limits wrong secrets of clients whose secret is kept by a slow hash, from all
// addresses together.
func SecretLockout(counter lockout.Counter, l config.Limits) *lockout.Lockout {
	limit := l.ClientFailures
	if limit <= 0 {
		limit = maxSecretFailures
	}
	return lockout.New(counter, limit, -1, l.Window)
}

// Once says whether a name is new until ttl ends: an assertion works once.
type Once = func(ctx context.Context, name string, ttl time.Duration) (bool, error)

// Assertions says how clients' JWTs are verified, those of the issuers given included.
func Assertions(cfg *config.Config, once Once, issuers ...config.TrustedIssuer) assertions.Config {
	c := assertions.Config{Issuer: cfg.Issuer, TokenEndpoint: cfg.Issuer + server.PathToken, Once: once}
	for _, t := range issuers {
		c.Issuers = append(c.Issuers, assertions.Issuer{Issuer: t.Issuer, JWKSURI: t.JWKSURI, CAFile: t.CAFile, TokenFile: t.TokenFile})
	}
	return c
}

// KnownIssuers knows which issuers are trusted, and none of their keys: for who judges tokens that
// came from their JWTs, and no JWT.
func KnownIssuers(cfg *config.Config) (*assertions.Checker, error) {
	never := func(context.Context, string, time.Duration) (bool, error) { return false, nil } // nothing is asked
	c := Assertions(cfg, never)
	for _, issuer := range cfg.TrustedIssuers() {
		c.Issuers = append(c.Issuers, assertions.Issuer{Issuer: issuer, Keys: &jwt.KeySet{}})
	}
	return assertions.New(c)
}
