package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/scopes"
)

// JWTConfig is what a JWT verifier is made of.
type JWTConfig struct {
	Issuer     string   // the authorization server, as iss has it
	JWKSURI    string   // its keys; "": its metadata names them (RFC 8414 §2)
	Audience   string   // this resource server; aud must name it (RFC 9068 §4)
	Algorithms []string // allowed values of alg; nil: ES256, EdDSA, RS256

	// AcceptTypJWT takes tokens whose typ is JWT beside at+jwt, for an issuer that was told to sign
	// so (jwt_typ). Danger: any other JWT of the issuer with these claims passes for an access
	// token too, as the ID tokens of some servers might (RFC 8725 §3.11). Grantor signs no others.
	AcceptTypJWT bool

	HTTPClient *http.Client // its transport and timeout fetch the keys; nil: one of our own, 3 seconds

	// Leeway is how far the issuer's clock may be ahead (nbf, iat). 0: 60 seconds, which is the
	// most. exp is held to the second.
	Leeway time.Duration

	// CacheSize is how many verified tokens are remembered, see JWT. Each kB of a token counts as
	// one more. 0: 10,000; -1: none.
	CacheSize int

	// KeepKeys is how long keys are used while they cannot be fetched; then JWT answers 503.
	// Compromised keys may go on for so long. 0: 1 hour.
	KeepKeys time.Duration

	// Follow refuses a token that was ended, as Follower promises, without asking about each.
	Follow *Follower

	// Ask is asked about a token where Follow cannot tell: it has the same Follow. nil: a token is
	// refused that may have ended, and while the follower is stale the answer is 503.
	Ask *Introspection

	Now func() time.Time // the clock that tokens are held against; nil: time.Now

	// AllowInsecureHTTP takes Issuer and JWKSURI with http:// off loopback, for a server inside a
	// cluster. Danger: whoever is on the way can give the API keys of their own, and so make
	// themselves any token with any scope. Use it only where something else protects that way,
	// such as a service mesh with mutual TLS.
	AllowInsecureHTTP bool
}

// JWT is the Verifier that checks RFC 9068 access tokens by itself, with the issuer's published
// keys. It asks nobody about a token, so a revoked one is good until its exp: where that is too
// long, see JWTConfig.Follow, or HighRisk.
//
// The signature of a token is verified once. Until its exp the verifier remembers a hash of it
// and what it says, about 900 bytes a token. Times, audience and key are judged at each use: a
// key that leaves the issuer's key set ends at once all that it signed. Forged tokens are never
// remembered: each costs a signature, about 50 to 150 µs.
type JWT struct {
	cfg     JWTConfig
	rules   jwt.Profile
	fetcher *jwt.Fetcher
	keys    jwt.Source

	verified *bounded[verifiedToken] // nil: nothing is remembered
	flights  flights[verifiedToken]
}

// NewJWT checks cfg and returns the verifier. The server need not be up yet: its keys are fetched
// at the first token, and then kept and refreshed. Close ends fetches that are under way.
func NewJWT(cfg JWTConfig) (*JWT, error) {
	if cfg.Algorithms == nil {
		cfg.Algorithms = []string{"ES256", "EdDSA", "RS256"}
	}
	if cfg.Leeway == 0 {
		cfg.Leeway = maxSkew
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	v := &JWT{cfg: cfg, fetcher: jwt.NewFetcher(cfg.fetching()), rules: cfg.profile()}
	if cfg.CacheSize >= 0 {
		v.verified = newBounded[verifiedToken](cfg.CacheSize)
	}
	var err error
	if cfg.JWKSURI == "" {
		v.keys, err = v.fetcher.Issuer(cfg.Issuer)
	} else {
		v.keys, err = v.fetcher.Remote(cfg.JWKSURI)
	}
	if err != nil {
		return nil, fmt.Errorf("middleware: %w", err)
	}
	return v, nil
}

func (cfg *JWTConfig) check() error {
	unknown := func(alg string) bool { return !slices.Contains(jwt.Algorithms(), alg) }
	switch {
	case cfg.Issuer == "":
		return errors.New("middleware: Issuer is missing: it is compared with iss (RFC 9068 §4)")
	case cfg.Audience == "":
		return errors.New("middleware: Audience is missing: a token for another resource must be refused (RFC 9068 §4)")
	case cfg.Leeway < 0 || cfg.Leeway > maxSkew:
		return errors.New("middleware: Leeway is at most 60 seconds")
	case cfg.KeepKeys < 0:
		return errors.New("middleware: KeepKeys must not be negative")
	case cfg.CacheSize < -1:
		return errors.New("middleware: CacheSize is a number of tokens, 0 for 10,000, or -1 for none")
	case len(cfg.Algorithms) == 0 || slices.ContainsFunc(cfg.Algorithms, unknown):
		return fmt.Errorf("middleware: Algorithms must be of %v: neither none nor HMAC (RFC 8725 §3.1)",
			jwt.Algorithms())
	case cfg.Ask != nil && (cfg.Follow == nil || cfg.Ask.cfg.Follow != cfg.Follow):
		return errors.New("middleware: Ask is asked where Follow cannot tell: both need the same Follow")
	}
	if err := cfg.Follow.serves(cfg.Issuer); err != nil {
		return err
	}
	return secureURL(cfg.Issuer, cfg.AllowInsecureHTTP)
}

// profile is what a token of the issuer looks like (RFC 9068 §4).
func (cfg *JWTConfig) profile() jwt.Profile {
	p := jwt.Profile{Algorithms: cfg.Algorithms, Types: []string{scopes.TypAccess}, MaxBytes: MaxTokenBytes, Now: cfg.Now}
	if cfg.AcceptTypJWT {
		p.Types = append(p.Types, scopes.TypJWT)
	}
	return p
}

// fetching trusts the issuer's URLs, private addresses included: whoever runs this program has
// named the issuer.
func (cfg *JWTConfig) fetching() jwt.Options {
	opts := jwt.Options{AllowPrivate: true, Keep: cfg.KeepKeys}
	isHTTP := strings.HasPrefix(cmp.Or(cfg.JWKSURI, cfg.Issuer), "http://") // https is never left again
	opts.AllowHTTP = cfg.AllowInsecureHTTP && isHTTP
	if c := cfg.HTTPClient; c != nil {
		opts.Timeout, opts.Transport = c.Timeout, c.Transport
		if opts.Transport == nil {
			opts.Transport = http.DefaultTransport
		}
	}
	return opts
}

// Close ends fetches of keys that are under way. The verifier verifies nothing new afterwards.
func (v *JWT) Close() { v.fetcher.Close() }

// Verify implements Verifier (RFC 9068 §4).
func (v *JWT) Verify(ctx context.Context, token string) (*Token, error) {
	found, err := v.verify(ctx, token)
	if err == nil {
		t, err := v.followed(ctx, token, found)
		if err != nil {
			return nil, err
		}
		return FromHolder(ctx, t)
	}
	var refusal jwt.TokenError
	if errors.As(err, &refusal) {
		return nil, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	return nil, fmt.Errorf("jwt: %w", err)
}

// accessToken demands the claims of RFC 9068 §2.2; scope is one string (RFC 9068 §2.2.3, RFC 8693
// §4.2).
func accessToken(c *jwt.Claims) (*Token, error) {
	t := &Token{Subject: c.Subject, Audience: c.Audience, Issuer: c.Issuer, ID: c.ID,
		ExpiresAt: c.Expires, IssuedAt: c.IssuedAt, NotBefore: c.NotBefore}
	var err error
	if t.ClientID, err = c.Text("client_id"); err != nil {
		return nil, err
	}
	if t.SubjectType, err = c.Text("sub_type"); err != nil {
		return nil, err
	}
	if sid, err := c.Text("sid"); err == nil { // another server may mean something else by this
		t.Session = sid
	}
	if rev, err := c.Texts("rev"); err == nil {
		t.rev = rev
	}
	if t.Confirmation, err = parseConfirmation(c.Member("cnf")); err != nil {
		return nil, jwt.Malformed
	}
	if t.Actor, err = readActor(c.Member("act")); err != nil {
		return nil, err
	}
	scope, err := c.Text("scope")
	if err != nil {
		return nil, err
	}
	if t.Subject == "" || t.ClientID == "" || t.ID == "" || t.IssuedAt.IsZero() {
		return nil, jwt.Malformed
	}
	if t.Scope, err = scopes.ParseGranted(scope); err != nil {
		return nil, jwt.Malformed
	}
	t.Claims = claims.Values(c.Others(claims.IsReserved))
	return t, nil
}
