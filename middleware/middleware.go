// Package middleware is what a resource server imports: it authenticates access tokens and
// requires scopes and an audience, with the challenges of RFC 6750, for Gin and for plain
// net/http. Tokens that are bound to a key (DPoP, RFC 9449) or to a client certificate (RFC 8705)
// pass with its proof alone. It links neither Redis nor go-oauth2.
//
//	verifier, err := middleware.NewIntrospection(middleware.IntrospectionConfig{
//		Issuer:       "https://auth.example.com",
//		ClientID:     "orders-api",
//		ClientSecret: os.Getenv("GRANTOR_CLIENT_SECRET"),
//	})
//	config := middleware.Config{Verifier: verifier, Audience: "https://orders.example.com"}
//	guard, err := middleware.New(config)
//	router.GET("/orders", guard.Authenticate(), guard.RequireAll("orders:read"), list)
package middleware

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/resource"
	"github.com/grantor-auth/grantor/scopes"
)

// Token is what a verified access token says.
type Token struct {
	Subject     string // the user's id, or the client's for a machine
	SubjectType string // "user", "client", "external" (a trusted issuer's subject), or "" when the server does not say
	Username    string // for display alone; decide by Subject (RFC 9700 §4.15)
	ClientID    string
	Scope       scopes.Set
	Audience    []string
	Issuer      string
	ID          string    // jti
	ExpiresAt   time.Time // zero: not said
	IssuedAt    time.Time
	NotBefore   time.Time
	Session     string // sid: the same in all tokens of one login on one device; "": a machine's, or not said

	// Actor is who acts for the subject (RFC 8693 §4.1); nil: nobody, as for every token that was not
	// exchanged for delegation.
	Actor *Actor

	// Claims are the members that no standard defines, as encoding/json reads them: texts,
	// float64, bool, []any, map[string]any. nil: there are none.
	Claims map[string]any

	// AllowedNetworks are those from which an API key may be used; empty: from everywhere. A Guard
	// and the verifiers of this package have held them against the request.
	AllowedNetworks []netip.Prefix

	// Confirmation is what the token is bound to. A Guard has held it against the request.
	Confirmation Confirmation

	rev []string // names under which the revocation feed may end the token
}

// HasAudience says whether aud names a resource server, in any spelling of its URI: see
// scopes.SameResource.
func (t *Token) HasAudience(resource string) bool { return scopes.Names(t.Audience, resource) }

// ErrInvalidToken is what a Verifier returns for a token that is unknown, expired, revoked,
// malformed or no access token.
var ErrInvalidToken = errors.New("invalid token")

// Verifier verifies tokens. Verify may be called by any number of goroutines. For a token that is
// not good it returns an error that wraps ErrInvalidToken; any other error means that this is not
// known, and the answer is 503. A returned Token is shared and must not be changed.
type Verifier interface {
	Verify(ctx context.Context, token string) (*Token, error)
}

// VerifierFunc makes a function a Verifier.
type VerifierFunc func(ctx context.Context, token string) (*Token, error)

// Verify implements Verifier.
func (f VerifierFunc) Verify(ctx context.Context, token string) (*Token, error) { return f(ctx, token) }

// Config is what a Guard is made of.
type Config struct {
	Verifier  Verifier          // required
	Audience  string            // a token must name it in aud (RFC 9068 §4); "": any token, for an issuer's only API
	Realm     string            // of the challenge; "": none
	Resource  *Resource         // says where clients get tokens (RFC 9728), see Guard.Metadata; nil: nothing does
	Catalogue *scopes.Catalogue // scopes that imply others; nil: exact match, which is enough for Grantor's tokens
	FormBody  bool              // accept access_token in a form body as well (RFC 6750 §2.2); leave it off
	// APIKeyHeaders takes API keys as Authorization: Api-Key and as X-API-Key too, beside
	// Authorization: Bearer. More than one of them in a request is refused.
	APIKeyHeaders bool
	// TrustedProxies are addresses and networks whose X-Forwarded-For is believed, for API keys that
	// are allowed from some networks alone, and whose ClientCertHeader is. None: the peer is the
	// client.
	TrustedProxies []string
	// ClientAddress finds the address from which a request comes, in another way; an address that is
	// not valid allows no such key. nil: by TrustedProxies.
	ClientAddress func(*http.Request) netip.Addr

	DPoP DPoP // how tokens are checked that are bound to a key (RFC 9449)

	// ClientCertHeader is the header in which TrustedProxies write the certificate of their client,
	// for tokens that are bound to one (RFC 8705 §3); "": that of the TLS connection counts.
	ClientCertHeader string
	// ClientCertFormat is how they write it: "rfc9440", "pem" (nginx), "der" (HAProxy) or "xfcc"
	// (Envoy). "": by the name of the header, Client-Cert or X-Forwarded-Client-Cert.
	ClientCertFormat string
	// ClientCertificate finds the certificate in another way; nil for none. nil: as above.
	ClientCertificate func(*http.Request) (*x509.Certificate, error)

	Log *slog.Logger     // why a request was answered 503; nil: slog.Default()
	Now func() time.Time // the clock that a token's exp and nbf are held against; nil: time.Now
}

// Guard protects routes.
type Guard struct {
	cfg     Config
	address func(*http.Request) netip.Addr

	proofs      *proofs // nil: nothing says the URL of the API
	certificate func(*http.Request) (*x509.Certificate, error)

	metadata   http.Handler // nil: none
	metadataAt resource.Location
}

// New checks cfg and returns a Guard.
func New(cfg Config) (*Guard, error) {
	if cfg.Verifier == nil {
		return nil, errors.New("middleware: Verifier is missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	from, err := cfg.addressOf()
	if err != nil {
		return nil, err
	}
	g := &Guard{cfg: cfg, address: from}
	if strings.ContainsFunc(cfg.Realm, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
		return nil, errors.New(
			"middleware: Realm holds printable ASCII without quotes and backslashes (RFC 9110 §11.5)")
	}
	if g.proofs, err = newProofs(&cfg); err != nil {
		return nil, err
	}
	if g.certificate, err = cfg.certificateOf(); err != nil {
		return nil, err
	}
	if err := g.describe(&cfg); err != nil {
		return nil, err
	}
	return g, nil
}
