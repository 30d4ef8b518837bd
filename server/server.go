// Package server is the authorization server: the endpoints of RFC 6749 §3.2, RFC 7662,
// RFC 7009 and RFC 8414 over the clients, tokens and scopes that it is given.
//
// An endpoint is one line in routes.go, a list of named steps (steps.go), and one
// handler that returns an error; errors.go is the only voice that turns errors into
// HTTP. engine.go is the only file that knows go-oauth2: the library receives each
// token request, decides the grant, and asks the interfaces implemented there for client,
// token and store.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	oauth2server "github.com/go-oauth2/oauth2/v4/server"
	"go.opentelemetry.io/otel/trace"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// Config is what a Server is made of. Fields without a default are required.
type Config struct {
	Issuer    string            // RFC 8414 §2: absolute URL without query, fragment or final slash
	Clients   clients.Registry  // who may ask
	Catalogue *scopes.Catalogue // every scope that exists; nil: the reserved ones
	Store     tokens.Store      // where tokens live

	AccessTTL time.Duration // life of an access token whose client sets none; 0: 15 minutes
	NotBefore time.Time     // tokens issued before are dead; zero: none

	// Users says who may use the password grant (RFC 6749 §4.3); nil: nobody, and there is no refresh either.
	// RFC 9700 §2.4 advises against the grant.
	Users     users.Authenticator
	UserScope scopes.Rules     // the most that a token may carry of a user without a scope of their own
	Lockout   *lockout.Lockout // bounds password attempts; nil: no limit
	DemoUsers map[string]bool  // ids of users whose password is printed in the README: loopback only
	// RefreshTTL is the idle life of a grant, RefreshMaxTTL its absolute one; 0: 30 and 90 days. MaxSessionTTL is the longest
	// absolute life that any client has.
	RefreshTTL, RefreshMaxTTL, MaxSessionTTL time.Duration
	// RetryWindow is how long a repeated refresh gets the same answer: 0 is the default, a quarter of the access
	// token's life and 30 seconds at most; negative is never.
	RetryWindow time.Duration

	// Key is the store's server key. nil: New asks the store, and only requests compare the two later; a program whose store can lose
	// its data runs a KeyHolder.
	Key *tokens.KeyHolder

	// Healthy returns what makes the node unready beside the store and the registry, such as a background task that ended; nil: nothing.
	Healthy func() error

	// PublicClients says that some client has no secret: the metadata lists "none".
	PublicClients bool

	// ClientFailures refuses further wrong credentials from one address; right ones always pass. nil: no limit.
	ClientFailures FailureLimit
	// RequestsPerSecond bounds each client's requests on this node, of a public client at each address; 0 or less: no limit.
	RequestsPerSecond int

	// Keys sign and verify JWT access tokens (RFC 9068) and introspection responses (RFC 9701); nil: there are none.
	Keys       SigningKeys
	Format     string                    // of access tokens of clients that set none: clients.FormatOpaque, which is "", or FormatJWT
	SigningAlg keys.Algorithm            // of clients that set none; "": ES256
	Algorithms []string                  // every alg that Keys signs with, for the metadata
	Assertions *assertions.Authenticator // of clients that prove themselves by JWTs (RFC 7523); nil: nobody does

	// Manager changes the registry, and UserDirectory the users of the Redis directory, by the admin listener; nil: not here.
	Manager       *clients.Manager
	UserDirectory *users.Redis
	// Registrations is how many clients one client may have registered (RFC 7591); 0 or less: any number. RegistrationRate counts one
	// more and returns how long to wait instead; nil: no bound.
	Registrations    int
	RegistrationRate func(ctx context.Context, registrar string) (wait time.Duration, err error)

	Metrics *metrics.Metrics // counts; nil: none
	Audit   *audit.Trail     // the trail of security events; nil: none
	Tracer  trace.Tracer     // spans of requests and of the store's operations; nil: none

	TrustedProxies []string // addresses and CIDRs whose X-Forwarded-For is believed; nil: none
	// AdminURL is the URL by which clients reach the admin listener; "": the address at which a request arrived. AdminHosts are
	// further names that it is known by: a request with another Host is refused, unless that is an address or localhost.
	AdminURL   string
	AdminHosts []string

	IPv6Prefix int          // addresses of IPv6 with so many bits in common count as one; 0: 64
	Log        *slog.Logger // nil: slog.Default()
}

// FailureLimit counts failed authentications. Methods may be called by any number of goroutines.
type FailureLimit interface {
	// Blocked returns how long subject is still refused, without asking a store; 0: not.
	Blocked(subject string) time.Duration
	// Failed counts one failure. An error means that it could not be counted.
	Failed(ctx context.Context, subject string) error
}

// Server is the authorization server. It is an http.Handler, to be served by itself or
// mounted in another program.
type Server struct {
	cfg          Config
	log          *slog.Logger
	path         string        // of the issuer: "" or "/tenant"
	codec        *tokens.Codec // of key
	key          *tokens.KeyHolder
	grants       []string // enabled grant types
	fingerprints fingerprints
	library      *oauth2server.Server
	limits       *rateLimits
	shed         *shedder
	facts        facts
	away         away
	gin          *gin.Engine
	adminEngine  *gin.Engine
	fixed        *fixedHeaders
	drain        atomic.Bool
	proxies      proxies
	doubted      doubted
	adminHosts   []string
}

// New checks cfg, fetches the server key from the store and returns the server. It returns an error
// that names the field when cfg cannot work, or the store's when it does not answer.
func New(ctx context.Context, cfg Config) (*Server, error) {
	u, err := url.Parse(cfg.Issuer)
	if err == nil {
		err = CheckIssuer(cfg.Issuer)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("server: Issuer %w", err)
	case cfg.Clients == nil:
		return nil, errors.New("server: Clients is missing")
	case cfg.IPv6Prefix < 0 || cfg.IPv6Prefix > 128:
		return nil, errors.New("server: IPv6Prefix must be 1 to 128, or 0 for 64")
	case cfg.Store == nil:
		return nil, errors.New("server: Store is missing")
	}
	if cfg.AccessTTL == 0 {
		cfg.AccessTTL = 15 * time.Minute
	}
	if cfg.RefreshTTL == 0 {
		cfg.RefreshTTL = 30 * 24 * time.Hour
	}
	if cfg.RefreshMaxTTL == 0 {
		cfg.RefreshMaxTTL = 90 * 24 * time.Hour
	}
	if cfg.SigningAlg == "" {
		cfg.SigningAlg = keys.ES256
	}
	if cfg.IPv6Prefix == 0 {
		cfg.IPv6Prefix = 64
	}
	cfg.MaxSessionTTL = max(cfg.MaxSessionTTL, cfg.RefreshMaxTTL)
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Metrics != nil || cfg.Tracer != nil {
		cfg.Store = &measuredStore{cfg.Store, cfg.Metrics, cfg.Tracer != nil}
	}
	if cfg.Key == nil {
		if cfg.Key, err = tokens.OpenKey(ctx, cfg.Store, tokens.KeyWait, cfg.Log); err != nil {
			return nil, fmt.Errorf("server: the store gave no server key: %w", err)
		}
	}
	s := &Server{
		cfg: cfg, log: cfg.Log, path: u.Path, key: cfg.Key, codec: cfg.Key.Codec(),
		grants: []string{clients.GrantClientCredentials},
		fixed:  newFixedHeaders(), shed: &shedder{most: maxUnderway},
	}
	s.fingerprints.codec = s.codec
	if cfg.Users != nil {
		s.grants = append(s.grants, clients.GrantPassword, clients.GrantRefreshToken)
	}
	if s.facts, err = newFacts(); err != nil {
		return nil, err
	}
	if s.limits, err = newRateLimits(cfg.RequestsPerSecond); err != nil {
		return nil, err
	}
	s.library = s.newLibrary()
	s.adminHosts = adminHosts(cfg)
	if s.proxies, err = parseProxies(cfg.TrustedProxies); err != nil {
		return nil, fmt.Errorf("server: TrustedProxies: %w", err)
	}
	if s.gin, err = quietly(s.routes); err != nil {
		return nil, err
	}
	if s.adminEngine, err = quietly(s.adminRoutes); err != nil {
		return nil, err
	}
	return s, nil
}

// CheckIssuer says whether text can name a server (RFC 8414 §2). Its path is put before those of the endpoints, byte for byte, so
// that it may hold nothing that a router or a proxy reads in another way.
func CheckIssuer(text string) error {
	u, err := url.Parse(text)
	if err != nil || !u.IsAbs() || u.Host == "" || u.User != nil || strings.ContainsAny(text, "#?") || strings.HasSuffix(text, "/") {
		return errors.New("must be an absolute URL without query, fragment or final slash (RFC 8414 §2)")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("has port %s, which does not exist", port)
		}
	}
	for _, part := range strings.Split(u.EscapedPath(), "/")[1:] {
		if part == "" || part == "." || part == ".." || part == ".well-known" || strings.Trim(part, unreserved) != "" {
			return fmt.Errorf("has the path %q: its parts must be of letters, digits and \"-._~\", and not empty, \".\", \"..\" or \".well-known\"", u.EscapedPath())
		}
	}
	return nil
}

// unreserved are the characters of a URL that mean nothing but themselves (RFC 3986 §2.3).
const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.gin.ServeHTTP(w, r) }

// Now is the store's time, by which tokens end and which stands in all that is said of them. A guard over Verifier takes it as its Now.
func (s *Server) Now() time.Time { return s.cfg.Store.Now() }

func (s *Server) now() time.Time { return s.Now() }

// Drain makes readiness fail, the first act of a graceful stop. Requests are still served.
func (s *Server) Drain() { s.drain.Store(true) }
