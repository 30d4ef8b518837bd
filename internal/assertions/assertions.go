// Package assertions is how a client proves by a JWT who it is (RFC 7521 §4.2, RFC 7523 §2.2,
// draft-ietf-oauth-rfc7523bis): by one that it signs itself with a registered key
// (private_key_jwt), or by one that its platform signs for it, such as a Kubernetes service
// account's token (workload identity). No secret is shared and none is kept here. What HMAC would
// do, client_secret_jwt, is not offered: it needs secrets that the server can read.
//
//	v, err := assertions.New(assertions.Config{Issuer: "https://auth.example.com", Once: once})
//	id, err := v.Verify(ctx, assertion, form.Get("client_id"), find)
//
// What an assertion says before its signature is checked chooses which registration is looked up,
// and nothing else. The package knows neither HTTP nor where clients are registered or assertions
// are remembered.
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
)

// Type is the client_assertion_type that says that client_assertion is a JWT (RFC 7523 §2.2).
const Type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// The bounds of an assertion that a client signs.
const (
	skew     = jwt.MaxSkew // of the client's clock
	maxJTI   = 255         // bytes of jti
	clockGap = time.Minute // between the clocks of our nodes: one that lags accepts for so much longer
)

// Config is what a Authenticator is made of.
type Config struct {
	Issuer        string // ours: the aud that assertions must have
	TokenEndpoint string // the URL that clients of the older habit put in aud
	// Once remembers a key for ttl on all nodes, atomically, and says whether it is the first to
	// do so. The key is 43 characters of base64url. An error means that it cannot know: the
	// client is then neither let in nor refused.
	Once    func(ctx context.Context, key string, ttl time.Duration) (first bool, err error)
	MaxTTL  time.Duration // how far exp may lie ahead of what a client signs itself; 0: 5 minutes. So long is its jti remembered
	Remote  *jwt.Fetcher  // of clients' jwks_uri; nil: one of our own, which asks public addresses alone
	Issuers []Issuer      // of workload identity
	Now     func() time.Time
	Log     *slog.Logger // of published keys that cannot be used; nil: slog.Default()
}

// Issuer is a platform that signs for the workloads that run on it.
type Issuer struct {
	Issuer    string     // as iss has it
	JWKSURI   string     // "": its metadata names it (RFC 8414, OpenID Connect Discovery)
	CAFile    string     // PEM; "": the system's authorities
	TokenFile string     // a bearer token for JWKSURI, or for Issuer without one, and for no other origin; read each time; "": none
	Keys      jwt.Source // instead of fetching
}

// Registration is what is known of a client.
type Registration struct {
	ID                          string
	Keys                        *jwt.KeySet // jwks; nil: JWKSURI
	JWKSURI                     string
	Algorithms                  []string // allowed values of alg; nil: all that jwt.Algorithms lists
	AcceptTokenEndpointAudience bool     // aud may be the token endpoint's URL, for older clients
	Issuer, Subject             string   // of its workload's tokens; "": it has none
}

// Find returns the registration of a client, or ErrUnknownClient for one that does not exist or
// is disabled. Any other error means that it cannot know.
type Find func(ctx context.Context, id string) (Registration, error)

// ErrUnknownClient is a Find's "no".
var ErrUnknownClient = errors.New("unknown client")

// Authenticator verifies assertions. It may be used by any number of goroutines.
type Authenticator struct {
	cfg      Config
	rules    jwt.Profile
	issuers  map[string]jwt.Source
	spend    func(*jwt.Unverified)
	fetchers []*jwt.Fetcher // to close
}

// New checks cfg and returns a Authenticator. Close ends it. Keys are fetched when they are first
// needed.
func New(cfg Config) (*Authenticator, error) {
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
	v := &Authenticator{cfg: cfg, issuers: map[string]jwt.Source{}, spend: decoy.Spend,
		rules: jwt.Profile{Algorithms: jwt.Algorithms(), Now: cfg.Now}}
	if cfg.Remote == nil {
		v.cfg.Remote = v.fetcher(jwt.Options{})
	}
	for _, issuer := range cfg.Issuers {
		if err := v.trust(issuer); err != nil {
			v.Close()
			return nil, fmt.Errorf("trusted issuer %q: %w", issuer.Issuer, err)
		}
	}
	return v, nil
}

// Close ends fetches that are under way, except those of Config.Remote.
func (v *Authenticator) Close() {
	for _, f := range v.fetchers {
		f.Close()
	}
}

// maxWaiting is how many requests may wait for the keys of one client or issuer, so that a source
// that hangs leaves a server's places to others.
const maxWaiting = 128

func (v *Authenticator) fetcher(opts jwt.Options) *jwt.Fetcher {
	opts.MaxWaiting = maxWaiting
	opts.Log = v.cfg.Log
	f := jwt.NewFetcher(opts)
	v.fetchers = append(v.fetchers, f)
	return f
}

// trust adds an issuer. Its addresses may be private, as those of a cluster are: the operator has
// named them.
func (v *Authenticator) trust(t Issuer) error {
	switch _, twice := v.issuers[t.Issuer]; {
	case t.Issuer == "" || t.Issuer == v.cfg.Issuer:
		return errors.New("it must be named, and not be this server itself")
	case twice:
		return errors.New("it is named twice")
	case t.Keys != nil:
		v.issuers[t.Issuer] = t.Keys
		return nil
	}
	opts, err := t.fetching()
	if err != nil {
		return err
	}
	f := v.fetcher(opts)
	if t.JWKSURI != "" {
		v.issuers[t.Issuer], err = f.Remote(t.JWKSURI)
	} else {
		v.issuers[t.Issuer], err = f.Issuer(t.Issuer)
	}
	return err
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
