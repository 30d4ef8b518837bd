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
	for _, t := range cfg.Issuers {
		m.Issuers = append(m.Issuers, t.Issuer)
	}
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
