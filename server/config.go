package server

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/apikeys"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/clientcert"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/internal/ratelimit"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
	"github.com/grantor-auth/grantor/users"
)

// Config is what a Server is made of. Fields without a default are required.
type Config struct {
	Issuer    string            // RFC 8414 §2: absolute URL without query, fragment or final slash
	Clients   clients.Registry  // who may ask
	Catalogue *scopes.Catalogue // every scope that exists; nil: the reserved ones
	Store     tokens.Store      // where tokens are kept

	AccessTTL time.Duration // lifetime of an access token whose client sets none; 0: 15 minutes
	NotBefore time.Time     // tokens issued before are revoked; zero: none

	// Users answers the password grant (RFC 6749 §4.3); nil: there is neither that grant nor
	// refresh. RFC 9700 §2.4 advises against the grant.
	Users     users.Authenticator
	UserScope scopes.Rules     // the most that a token may carry of a user without a scope of their own
	Lockout   *lockout.Lockout // bounds password attempts; nil: no limit
	DemoUsers map[string]bool  // ids of users whose password is printed in the README: loopback only
	// RefreshTTL is how long a session lasts unused, RefreshMaxTTL how long at most; 0: 30 and 90
	// days. MaxSessionTTL is the longest maximum of all clients.
	RefreshTTL, RefreshMaxTTL, MaxSessionTTL time.Duration
	// SessionsPerUser is how many sessions a user may have: a login beyond it ends the least recently
	// used. 0 or less: any number.
	SessionsPerUser int
	// RetryWindow is how long a repeated refresh gets the same answer. 0: a quarter of the access
	// token's lifetime, and 30 seconds at most. Negative: never.
	RetryWindow time.Duration

	// Key holds the store's server key. nil: New reads it, and only requests compare the two later.
	// A program whose store can lose its data runs a KeyHolder.
	Key *tokens.KeyHolder

	// Healthy returns what makes the node unready beside store and registry, such as a background
	// task that ended; nil: nothing does.
	Healthy func() error

	// PublicClients says that some client has no secret: the metadata lists "none".
	PublicClients bool

	// TokenExchange serves the grant of RFC 8693 to the clients that have it.
	TokenExchange bool
	// JWTBearer serves the grant of RFC 7523 §2.1 to the clients that have it: for JWTs of the
	// issuers that Assertions trusts.
	JWTBearer bool

	// ClientFailures refuses further wrong credentials from one address. Right credentials always
	// pass. nil: no limit.
	ClientFailures FailureLimit
	// SecretSlots bound the slow hashes of clients' secrets; nil: those of Users, or of its own.
	// SecretLockout limits how many wrong secrets of such a client are checked; nil: no limit.
	SecretSlots   *users.Slots
	SecretLockout *lockout.Lockout
	// RequestsPerSecond bounds the requests of each client without a limit of its own on this node;
	// of a public client, at each address. 0 or less: no limit.
	RequestsPerSecond int
	// Rates counts requests against limits. A program with several nodes shares them by it, and runs
	// it. nil: each node counts alone.
	Rates *ratelimit.Limiter

	// ClaimsHook is asked for claims of each token that is issued; nil: nobody is.
	ClaimsHook ClaimsHook

	// Keys sign and verify JWT access tokens (RFC 9068) and introspection responses (RFC 9701);
	// nil: there are none.
	Keys       SigningKeys
	Format     string              // of clients that set none: clients.FormatOpaque, which is "", or FormatJWT
	SigningAlg keys.Algorithm      // of clients that set none; "": ES256
	Algorithms []string            // every alg that Keys signs with, for the metadata
	Assertions *assertions.Checker // of clients that prove themselves by JWTs (RFC 7523); nil: nobody does

	// Certificates reads the certificates of clients (RFC 8705); nil: no client proves itself by one,
	// and no token is bound to one. Authorities vouch for those of tls_client_auth; nil: nobody does.
	// MTLSURL is where the endpoints are served that ask for certificates, in the form of Issuer; "":
	// at Issuer.
	Certificates *clientcert.Source
	Authorities  *clientcert.Authorities
	MTLSURL      string

	// Manager changes the registry, and UserDirectory the users in Redis, by the admin listener;
	// nil: not here.
	Manager       *clients.Manager
	UserDirectory *users.Redis
	// APIKeys makes and revokes API keys by the admin listener; nil: not here. KeyUses notes when
	// keys were last used; nil: nobody asks.
	APIKeys     *apikeys.Manager
	KeyUses     *tokens.KeyUses
	SigningKeys KeyManager // rotates Keys by the admin listener; nil: not here
	// Registrations is how many clients one client may have registered (RFC 7591); 0 or less: any
	// number. RegistrationRate counts a registration, or returns how long to wait; nil: no limit.
	Registrations    int
	RegistrationRate func(ctx context.Context, registrar string) (wait time.Duration, err error)

	// Feed is the revocation feed, as far as Clients has come; nil: the endpoint is not served. Its
	// Reader must run.
	Feed *feed.View

	// DPoPNonces is how long a nonce for DPoP proofs is good for, at least; 0: proofs need none
	// (RFC 9449 §8).
	DPoPNonces time.Duration

	Metrics *metrics.Metrics // counts; nil: none
	Audit   *audit.Trail     // the trail of security events; nil: none
	Tracer  trace.Tracer     // spans of requests and of the store's operations; nil: none

	// Preset adds members to the metadata that some clients demand: "mcp" those of the Model Context
	// Protocol, with an authorization endpoint that refuses every request. "": none. Extra are further
	// members (RFC 8414 §2), as encoding/json reads them: none that Grantor writes itself.
	Preset string
	Extra  map[string]any

	TrustedProxies []string // addresses and CIDRs whose X-Forwarded-For is believed; nil: none
	// AdminURL is the URL of the admin listener for clients; "": the address at which a request
	// arrived. AdminHosts are further names of it. A request with another Host is refused, unless
	// that is an address or localhost.
	AdminURL   string
	AdminHosts []string

	IPv6Prefix int          // addresses of IPv6 with so many bits in common count as one; 0: 64
	Log        *slog.Logger // nil: slog.Default()
}

// ClaimsHook gives claims for a token that is about to be issued. *hook.Claims is one. After an
// error no token is issued, and the answer is 503.
type ClaimsHook interface {
	Claims(ctx context.Context, q claims.Question) (claims.Set, error)
}

// FailureLimit counts failed authentications. Methods may be called by any number of goroutines.
type FailureLimit interface {
	// Blocked returns how long subject is still refused, without asking a store; 0: not.
	Blocked(subject string) time.Duration
	// Failed counts one failure. An error means that it could not be counted.
	Failed(ctx context.Context, subject string) error
}

// SigningKeys is what the server asks of the signing keys; *keys.Ring is one.
type SigningKeys interface {
	Sign(alg keys.Algorithm, typ string, payload []byte) (string, error)
	Verify(token string, types ...string) ([]byte, error)
	Claims(token string, types ...string) ([]byte, error) // without looking at the signature
	JWKS() (body []byte, etag string)
	Ready() error
}
