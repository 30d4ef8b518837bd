package node

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/apikeys"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/server"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// serverConfig turns a configuration into what a server is made of.
func (r *resources) serverConfig(in *instance, registry clients.Registry) server.Config {
	cfg := in.cfg
	sc := server.Config{
		Issuer: cfg.Issuer, Clients: registry, Catalogue: cfg.Catalogue(), Store: r.stores.tokens, Key: r.key,
		AccessTTL: cfg.Tokens.AccessTTL, NotBefore: cfg.Tokens.NotBefore,
		RefreshTTL: cfg.Tokens.RefreshTTL, RefreshMaxTTL: cfg.Tokens.RefreshMaxTTL, MaxSessionTTL: cfg.LongestSession(),
		SessionsPerUser: cfg.Limits.SessionsPerUser, UserScope: cfg.UserScope(), RetryWindow: cfg.RetryWindow(), PublicClients: r.mayHavePublicClients(cfg),
		TokenExchange: r.someMayUse(cfg, clients.GrantTokenExchange), JWTBearer: trustsIssuers(cfg) && r.someMayUse(cfg, clients.GrantJWTBearer),
		RequestsPerSecond: cfg.Limits.RequestsPerSecond, Rates: r.rates, TrustedProxies: cfg.TrustedProxies, IPv6Prefix: cfg.Limits.IPv6Prefix,
		AdminURL: cfg.Admin.URL, AdminHosts: []string{hostOf(cfg.Admin.Listen)},
		Preset: cfg.Metadata.Preset, Extra: cfg.Metadata.Extra,
		Certificates: in.ofClients, Authorities: in.authorities, MTLSURL: cfg.TLS.MTLSURL,
		DPoPNonces: cfg.DPoP.Nonces(), Feed: in.feed, Metrics: r.metrics, Audit: r.trail, Tracer: r.tracer, Log: r.log,
	}
	r.limit(&sc, cfg.Limits)
	if r.keys != nil {
		sc.Keys, sc.Algorithms = r.keys, r.algs
		sc.Format, sc.SigningAlg = cfg.Tokens.AccessFormat, keys.Algorithm(cfg.Tokens.SigningAlg)
	}
	if r.stores.db != nil {
		r.manage(&sc, in)
	}
	return sc
}

// mayHavePublicClients says whether some client may have no secret. Any registered client may be
// public.
func (r *resources) mayHavePublicClients(cfg *config.Config) bool {
	return r.stores.db != nil && cfg.Grants.Password || slices.ContainsFunc(cfg.Registrations(), (*clients.Client).Public)
}

// someMayUse says whether some client may have a grant type: one of the file has it, or any
// registered client may be given it.
func (r *resources) someMayUse(cfg *config.Config, grant string) bool {
	return r.stores.db != nil || slices.ContainsFunc(cfg.Registrations(), func(c *clients.Client) bool { return c.MayUse(grant) })
}

// trustsIssuers says whether JWTs of another issuer may be exchanged.
func trustsIssuers(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.TrustedIssuers(), clients.IsExchangeable)
}

// limit bounds guesses and registrations.
func (r *resources) limit(sc *server.Config, l config.Limits) {
	sc.Lockout = lockout.New(r.stores.failures, l.PasswordFailures, l.PasswordFailuresPerAddress, l.Window)
	sc.SecretSlots, sc.SecretLockout = r.slots, parts.SecretLockout(r.stores.failures, l)
	if l.ClientFailures > 0 {
		sc.ClientFailures = lockout.NewRateLimit(r.stores.failures, "client", l.ClientFailures, time.Minute)
	}
	sc.Registrations = l.Registrations
	if l.RegistrationsPerHour > 0 {
		sc.RegistrationRate = r.registrationRate(l.RegistrationsPerHour)
	}
}

// registrationRate counts one more registration, and returns how long to wait where max an hour are
// exceeded.
func (r *resources) registrationRate(maxAnHour int) func(context.Context, string) (time.Duration, error) {
	return func(ctx context.Context, registrar string) (time.Duration, error) {
		n, left, err := r.stores.failures.Add(ctx, lockout.SubjectOf("registrations", registrar), time.Hour)
		if err != nil || n <= maxAnHour {
			return 0, err
		}
		return max(left, time.Second), nil
	}
}

// manage has the admin listener change clients and users. A change that cannot be confirmed is
// repeated with revocations.
func (r *resources) manage(sc *server.Config, in *instance) {
	registry := clients.NewRedis(r.stores.db)
	sc.Manager = parts.Manager(in.cfg, registry, r.stores.tokens)
	sc.Manager.Node = in.live
	sc.APIKeys = apikeys.New(sc.Manager, r.stores.redis, r.key.Codec())
	sc.KeyUses = r.keyUses
	if r.keyManager != nil {
		sc.SigningKeys = r.keyManager
	}
	if in.cfg.Grants.Password && in.cfg.Users.Source == "redis" {
		sc.UserDirectory = users.NewRedis(r.stores.db)
	}
	pending, ok := r.stores.tokens.(*tokens.Pending)
	if !ok {
		return
	}
	registry.Again, sc.APIKeys.Again = pending, pending
	if sc.UserDirectory != nil {
		sc.UserDirectory.Again = pending
	}
}

// hostOf returns the host of host:port.
func hostOf(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}
