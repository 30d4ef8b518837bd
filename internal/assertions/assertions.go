// Package assertions authenticates clients by JWTs (RFC 7521 §4.2, RFC 7523 §2.2,
// draft-ietf-oauth-rfc7523bis): assertions that the client signs with a registered key
// (private_key_jwt), or tokens that a platform signs for it, such as those of Kubernetes service
// accounts and JWT-SVIDs (workload identity; draft-ietf-oauth-spiffe-client-auth).
// client_secret_jwt is not offered: its HMAC needs readable secrets.
//
//	a, err := assertions.New(assertions.Config{Issuer: "https://auth.example.com", Once: once})
//	id, err := a.Verify(ctx, assertion, form.Get("client_id"), find)
//
// Before its signature is verified, an assertion only chooses which registration is looked up. The
// package knows neither HTTP nor where clients are registered or assertions are remembered.
package assertions

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/internal/spiffe"
)

// Type is the client_assertion_type that says that client_assertion is a JWT (RFC 7523 §2.2).
const Type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// The bounds of an assertion that a client signs.
const (
	skew     = jwt.MaxSkew // of the client's clock
	maxJTI   = 255         // bytes of jti
	clockGap = time.Minute // between the clocks of our nodes: one that lags accepts for so much longer
)

// Config is what a Checker is made of.
type Config struct {
	Issuer        string // ours: the aud that assertions must have
	TokenEndpoint string // the URL that clients of the older habit put in aud
	// Once remembers a key for ttl on all nodes, atomically, and says whether it is the first to
	// do so. The key is 43 characters of base64url. An error means that this is not
	// known: the client is then neither accepted nor refused.
	Once func(ctx context.Context, key string, ttl time.Duration) (first bool, err error)
	// MaxTTL is how far exp may lie ahead of what a client signs itself, and of JWT-SVIDs; 0: 5
	// minutes. So long is a client's jti remembered.
	MaxTTL  time.Duration
	Remote  *jwt.Fetcher // of clients' jwks_uri; nil: one of our own, which asks public addresses alone
	Issuers []Issuer     // of workload identity
	Now     func() time.Time
	Log     *slog.Logger // of published keys that cannot be used; nil: slog.Default()
	// PassedOver counts such keys, see jwt.Options; nil: nobody counts.
	PassedOver func(others, unusable int)
}

// Issuer is a platform that signs for the workloads that run on it.
type Issuer struct {
	Issuer    string     // as iss has it; or a SPIFFE trust domain, as in "spiffe://example.org"
	JWKSURI   string     // "": its metadata names it (RFC 8414, OpenID Connect Discovery); of a trust domain: its bundle endpoint
	CAFile    string     // PEM; "": the system's authorities
	TokenFile string     // a bearer token for JWKSURI, or for Issuer without one, and for no other origin; read each time; "": none
	Keys      jwt.Source // instead of fetching
}

// Registered is what is known of a client.
type Registered struct {
	ID                          string
	Keys                        *jwt.KeySet // jwks; nil: JWKSURI
	JWKSURI                     string
	Algorithms                  []string // allowed values of alg; nil: all that jwt.Algorithms lists
	AcceptTokenEndpointAudience bool     // aud may be the token endpoint's URL, for older clients
	Issuer, Subject             string   // of its workload's tokens; "": it has none
}

// Find returns the registration of a client, or ErrUnknownClient for a client that does not exist
// or is disabled. After any other error it is not known.
type Find func(ctx context.Context, id string) (Registered, error)

// ErrUnknownClient is what Find returns for an unknown or disabled client.
var ErrUnknownClient = errors.New("unknown client")

// Checker verifies assertions. It may be used by any number of goroutines.
type Checker struct {
	cfg      Config
	rules    jwt.Profile
	issuers  map[string]jwt.Source // by iss
	domains  map[string]jwt.Source // by SPIFFE ID of the trust domain
	spend    func(*jwt.Unverified)
	fetchers []*jwt.Fetcher // to close
}

// New checks cfg and returns a Checker. Close ends it. Keys are fetched when they are first
// needed.
func New(cfg Config) (*Checker, error) {
	if cfg.Issuer == "" || cfg.Once == nil {
		return nil, errors.New("assertions: Issuer and Once are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxTTL == 0 {
		cfg.MaxTTL = 5 * time.Minute
	}
	decoy, err := jwt.NewDecoy()
	if err != nil {
		return nil, err
	}
	a := &Checker{cfg: cfg, issuers: map[string]jwt.Source{}, domains: map[string]jwt.Source{}, spend: decoy.Spend,
		rules: jwt.Profile{Algorithms: jwt.Algorithms(), Now: cfg.Now}}
	if cfg.Remote == nil {
		a.cfg.Remote = a.fetcher(jwt.Options{})
	}
	for _, issuer := range cfg.Issuers {
		if err := a.trust(issuer); err != nil {
			a.Close()
			return nil, fmt.Errorf("trusted issuer %q: %w", issuer.Issuer, err)
		}
	}
	return a, nil
}

// Close ends fetches that are under way, except those of Config.Remote.
func (a *Checker) Close() {
	for _, f := range a.fetchers {
		f.Close()
	}
}

// maxWaiting is how many requests may wait for the keys of one client or issuer, so that a source
// that hangs does not hold all requests.
const maxWaiting = 128

func (a *Checker) fetcher(opts jwt.Options) *jwt.Fetcher {
	opts.MaxWaiting = maxWaiting
	opts.Log, opts.PassedOver = a.cfg.Log, a.cfg.PassedOver
	f := jwt.NewFetcher(opts)
	a.fetchers = append(a.fetchers, f)
	return f
}

// trust adds an issuer. Its addresses may be private, as those of a cluster are: the operator has
// named them.
func (a *Checker) trust(t Issuer) error {
	trusted := a.issuers
	if strings.HasPrefix(t.Issuer, spiffe.Scheme) {
		trusted = a.domains
		if !spiffe.IsTrustDomain(t.Issuer) {
			return errors.New(`of SPIFFE it must be the trust domain alone, as in "spiffe://example.org"`)
		}
	}
	switch _, twice := trusted[t.Issuer]; {
	case t.Issuer == "" || t.Issuer == a.cfg.Issuer:
		return errors.New("it must be named, and not be this server itself")
	case twice:
		return errors.New("it is named twice")
	case t.Keys != nil:
		trusted[t.Issuer] = t.Keys
		return nil
	}
	keys, err := a.source(&t)
	if err == nil {
		trusted[t.Issuer] = keys
	}
	return err
}

// source returns the keys of an issuer that are fetched.
func (a *Checker) source(t *Issuer) (jwt.Source, error) {
	opts, err := t.fetching()
	if err != nil {
		return nil, err
	}
	f := a.fetcher(opts)
	switch domain := strings.HasPrefix(t.Issuer, spiffe.Scheme); {
	case domain && t.JWKSURI == "":
		return nil, errors.New("a trust domain needs jwks_uri: the URL of its bundle endpoint, which nothing tells")
	case domain:
		return f.Bundle(t.JWKSURI)
	case t.JWKSURI == "":
		return f.Issuer(t.Issuer)
	}
	return f.Remote(t.JWKSURI)
}

func (t *Issuer) fetching() (jwt.Options, error) {
	opts := jwt.Options{AllowPrivate: true}
	if t.CAFile != "" {
		text, err := os.ReadFile(t.CAFile)
		if err != nil {
			return opts, err
		}
		opts.RootCAs = x509.NewCertPool()
		if !opts.RootCAs.AppendCertsFromPEM(text) {
			return opts, fmt.Errorf("%s holds no certificate in PEM", t.CAFile)
		}
	}
	if t.TokenFile != "" {
		opts.BearerTo = []string{cmp.Or(t.JWKSURI, t.Issuer)}
		opts.Bearer = func() (string, error) {
			text, err := os.ReadFile(t.TokenFile)
			return strings.TrimSpace(string(text)), err
		}
	}
	return opts, nil
}
