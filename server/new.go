package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/ratelimit"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// New checks cfg, fetches the server key from the store and returns the server. The error names the
// field that cannot work, or is that of the store when the store does not answer.
func New(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	if cfg.Metrics != nil || cfg.Tracer != nil {
		cfg.Store = &measuredStore{cfg.Store, cfg.Metrics, cfg.Tracer != nil}
	}
	if err := cfg.openKey(ctx); err != nil {
		return nil, fmt.Errorf("server: the store gave no server key: %w", err)
	}
	return assemble(cfg)
}

// check returns an error that names the first field that cannot work.
func (cfg *Config) check() error {
	if err := CheckIssuer(cfg.Issuer); err != nil {
		return fmt.Errorf("server: Issuer %w", err)
	}
	if cfg.MTLSURL != "" {
		if err := CheckIssuer(cfg.MTLSURL); err != nil {
			return fmt.Errorf("server: MTLSURL %w", err)
		}
	}
	switch {
	case cfg.Clients == nil:
		return errors.New("server: Clients is missing")
	case cfg.IPv6Prefix < 0 || cfg.IPv6Prefix > 128:
		return errors.New("server: IPv6Prefix must be 1 to 128, or 0 for 64")
	case cfg.Store == nil:
		return errors.New("server: Store is missing")
	}
	return cfg.checkMetadata()
}

// setDefaults fills in what the zero value of a field stands for.
func (cfg *Config) setDefaults() {
	setDefault(&cfg.AccessTTL, 15*time.Minute)
	setDefault(&cfg.RefreshTTL, 30*24*time.Hour)
	setDefault(&cfg.RefreshMaxTTL, 90*24*time.Hour)
	setDefault(&cfg.SigningAlg, keys.ES256)
	setDefault(&cfg.IPv6Prefix, 64)
	cfg.MaxSessionTTL = max(cfg.MaxSessionTTL, cfg.RefreshMaxTTL)
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.SecretSlots == nil && cfg.Users != nil {
		cfg.SecretSlots = cfg.Users.Slots()
	}
	if cfg.SecretSlots == nil {
		cfg.SecretSlots = users.NewSlots(0)
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// openKey fetches the server key where the caller holds none.
func (cfg *Config) openKey(ctx context.Context) (err error) {
	if cfg.Key == nil {
		cfg.Key, err = tokens.OpenKey(ctx, cfg.Store, tokens.KeyWait, cfg.Log)
	}
	return err
}

// assemble makes the server of a configuration that was checked.
func assemble(cfg Config) (s *Server, err error) {
	if cfg.Rates == nil {
		if cfg.Rates, err = ratelimit.New(nil); err != nil {
			return nil, err
		}
	}
	u, err := url.Parse(cfg.Issuer)
	if err != nil {
		return nil, err
	}
	s = &Server{cfg: cfg, log: cfg.Log, path: u.Path, key: cfg.Key, codec: cfg.Key.Codec(),
		grantTypes: grantTypesOf(cfg), adminHosts: adminHostNames(cfg), fixed: newFixedHeaders(),
		overload: &overload{maximum: maxUnderway}, drained: make(chan struct{})}
	if s.proofs, err = newProofs(&cfg, s.codec, s.now); err != nil {
		return nil, err
	}
	s.prints.codec, s.inactiveLines = s.codec, newInactiveLines()
	countInactive(cfg.Metrics)
	if s.proxies, err = parseProxies(cfg.TrustedProxies); err != nil {
		return nil, fmt.Errorf("server: TrustedProxies: %w", err)
	}
	if s.extra, err = extraMembers(cfg.Extra); err != nil {
		return nil, err
	}
	if s.sessions, err = newSessionCache(); err != nil {
		return nil, err
	}
	if s.unrecorded, err = newUnrecorded(); err != nil {
		return nil, err
	}
	if s.peers, err = newPeerUsers(); err != nil {
		return nil, err
	}
	s.issue = newEngine(s).issue
	if s.public, err = quietly(s.routes); err != nil {
		return nil, err
	}
	if s.admin, err = quietly(s.adminRoutes); err != nil {
		return nil, err
	}
	s.operator, err = quietly(s.operatorRoutes)
	return s, err
}

// grantTypesOf returns the grant types that are enabled: without a directory no user can log in.
func grantTypesOf(cfg Config) []string {
	served := []string{clients.GrantClientCredentials}
	if cfg.Users != nil {
		served = append(served, clients.GrantPassword, clients.GrantRefreshToken)
	}
	if cfg.TokenExchange {
		served = append(served, clients.GrantTokenExchange)
	}
	if cfg.JWTBearer && cfg.Assertions != nil {
		served = append(served, clients.GrantJWTBearer)
	}
	return served
}
