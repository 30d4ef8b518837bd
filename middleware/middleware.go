// Package middleware is what a resource server imports: it authenticates bearer tokens and
// requires scopes and an audience, with the challenges of RFC 6750, for Gin and for plain
// net/http. It links neither Redis nor go-oauth2.
//
//	verifier, err := middleware.NewIntrospection(middleware.IntrospectionConfig{
//		Issuer: "https://auth.example.com", ClientID: "orders-api", ClientSecret: os.Getenv("GRANTOR_CLIENT_SECRET"),
//	})
//	guard, err := middleware.New(middleware.Config{Verifier: verifier, Audience: "https://orders.example.com"})
//	router.GET("/orders", guard.Authenticate(), guard.RequireAll("orders:read"), list)
package middleware

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/scopes"
)

// Token is what a verified access token says.
type Token struct {
	Subject     string // the user's id, or the client's for a machine
	SubjectType string // "user", "client", or "" when the server does not say
	Username    string // for display alone; decide by Subject (RFC 9700 §4.15)
	ClientID    string
	Scope       scopes.Set
	Audience    []string
	Issuer      string
	ID          string    // jti
	ExpiresAt   time.Time // zero: not said
	IssuedAt    time.Time
	NotBefore   time.Time
}

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
	Audience  string            // a token must name it in aud (RFC 9068 §4); "": any token of the issuer, which is right only for one API alone
	Realm     string            // of the challenge; "": none
	Catalogue *scopes.Catalogue // scopes that imply others; nil: exact match, which is enough for Grantor's tokens
	FormBody  bool              // accept access_token in a form body as well (RFC 6750 §2.2); leave it off
	Log       *slog.Logger      // why a request was answered 503; nil: slog.Default()
	Now       func() time.Time  // the clock that a token's exp and nbf are held against; nil: time.Now
}

// Guard protects routes.
type Guard struct {
	cfg       Config
	challenge string // "Bearer", or with the realm
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
	g := &Guard{cfg: cfg, challenge: "Bearer"}
	if cfg.Realm != "" {
		if strings.ContainsFunc(cfg.Realm, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
			return nil, errors.New("middleware: Realm holds printable ASCII without quotes and backslashes (RFC 9110 §11.5)")
		}
		g.challenge += ` realm="` + cfg.Realm + `"`
	}
	return g, nil
}

type contextKey struct{}

// TokenFrom returns the token that Authenticate or Handler verified; nil without one. It is this
// request's own.
func TokenFrom(ctx context.Context) *Token {
	t, _ := ctx.Value(contextKey{}).(*Token)
	return t
}
