// Package clients is who may ask (RFC 6749 §2): the registered clients and how a
// client proves that it is one of them. It knows nothing of HTTP beyond the text
// of the Authorization header and the parsed form, and nothing of where clients are
// written down.
package clients

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/internal/nearest"
	"github.com/grantor-auth/grantor/internal/printable"
	"github.com/grantor-auth/grantor/scopes"
)

// Grant types (RFC 6749 §4; RFC 7591 §2 grant_types).
const (
	GrantClientCredentials = "client_credentials"
	GrantPassword          = "password"
	GrantRefreshToken      = "refresh_token"
)

// Formats of access tokens.
const (
	FormatOpaque = "opaque"
	FormatJWT    = "jwt" // RFC 9068
)

// Sight says whose access tokens a client sees when it introspects (RFC 7662 §4).
type Sight string

// The sights. A refresh token is shown to its own client only, under each of them.
const (
	SightOwn      Sight = "own"      // tokens issued to the client itself
	SightAudience Sight = "audience" // tokens whose aud names the client's resource, and its own
	SightAny      Sight = "any"      // all access tokens
)

// Sees says whether a client of this sight, which is an audience, sees access tokens for a resource
// that are not its own.
func Sees(sight Sight, audience, resource string) bool {
	return sight == SightAny || sight == SightAudience && resource != "" && scopes.SameResource(audience, resource)
}

// Epoch stands for one uninterrupted permission of a client. It is random and
// compared for equality alone: tokens of another epoch are dead.
type Epoch = [8]byte

// Client is one registered client: its Registration, with the texts that every request needs read
// once. The members below take the place of those of the same name. A Client that a Registry
// returned is shared and must not be changed.
type Client struct {
	Registration

	Scope        scopes.Rules  // what it may ask for
	DefaultScope scopes.Set    // what it gets when it asks for nothing; empty: invalid_scope
	RetryWindow  time.Duration // 0: the server's; negative: none, strict rotation

	exchangeScope scopes.Rules // Exchange.Scope, read once

	Demo    bool  // its secret is printed in the README: loopback only
	Epoch   Epoch // the current one, set by the Registry
	Edition Epoch // another whenever the registration is narrowed, set by the Registry; see FeedName

	unnamed  bool             // the store holds another registration of the client than this node does
	feedName string           // see FeedName; it is needed for each answer, and made once
	networks address.Networks // AllowedNetworks, read once
	used     *clientUse       // shared by all copies; nil: nobody asks
}

// Bounds of what a registration may hold.
const (
	MaxIDBytes     = 255
	MaxSecretBytes = 1024
	MaxSecrets     = 2
)

// Public says whether the client has no credentials (RFC 6749 §2.1).
func (c *Client) Public() bool { return c.Method == MethodNone }

// MayUse says whether the client was given a grant type.
func (c *Client) MayUse(grant string) bool { return slices.Contains(c.Grants, grant) }

// Check returns all that is wrong with a registration, joined; nil when it is sound.
// Each error is a *FieldError.
func (c *Client) Check(cat *scopes.Catalogue) error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, &FieldError{Field: field, Err: fmt.Errorf(format, args...)})
	}
	if err := CheckID(c.ID); err != nil {
		bad("client_id", "%w", err)
	}
	if printable.Redact(c.ID) != c.ID {
		bad("client_id", "looks like a token or a secret of Grantor: it would be redacted wherever it is written")
	}
	if err := printable.CheckName(c.Name); err != nil {
		bad("client_name", "%w", err)
	}
	c.checkMethod(bad)
	c.checkGrants(bad)
	c.checkScopes(cat, bad)
	c.checkExchange(cat, bad)
	c.checkRate(bad)
	switch c.Introspect {
	case "", SightOwn, SightAny:
	case SightAudience:
		if c.Resource == "" {
			bad("introspect", `introspect = "audience" needs resource = "https://…", the audience that this client is`)
		}
	default:
		bad("introspect", `must be "own", "audience" or "any"`)
	}
	if c.Public() && c.Introspect != "" && c.Introspect != SightOwn {
		bad("introspect", "a public client cannot introspect (RFC 7662 §2.1): give it a secret")
	}
	if c.Resource != "" {
		if err := cat.CheckAudience(c.Resource); err != nil {
			bad("resource", "%w", err)
		}
	}
	for _, a := range c.Audience {
		if err := cat.CheckAudience(a); err != nil {
			bad("audience", "%w", err)
		}
	}
	if err := c.Claims.Check(); err != nil {
		bad("claims", "%w", err)
	}
	return errors.Join(errs...)
}

func (c *Client) checkMethod(bad badFunc) {
	switch c.Method {
	case MethodSecret, MethodBasic, MethodPost:
		if len(c.Secrets) == 0 {
			bad("secrets", `a client without a secret is public only if it says so: add secrets = [{ hash = "sha256:…" }], or token_endpoint_auth_method = "none"`)
		}
	case MethodNone:
		if len(c.Secrets) > 0 {
			bad("token_endpoint_auth_method", `"none" is for clients without a secret; this one has secrets`)
		}
	case MethodJWT:
		c.checkKeys(bad)
	case MethodTLS:
	case MethodSelfSigned:
		c.checkOwnCertificates(bad)
	default:
		bad("token_endpoint_auth_method", `must be "client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth" or "none"`)
	}
	if c.Method != MethodJWT && (c.Workload != nil || c.AssertionAlg != "" || c.LenientAudience) ||
		c.Method != MethodJWT && c.Method != MethodSelfSigned && (c.JWKS != nil || c.JWKSURI != "") {
		bad("token_endpoint_auth_method", `jwks, jwks_uri and assertion are for "private_key_jwt"; jwks and jwks_uri for "self_signed_tls_client_auth", too`)
	}
	c.checkCertificateNames(bad)
	c.checkTokens(bad)
	c.checkSecrets(bad)
}

// checkKeys says what is wrong with how a client proves itself by a JWT.
func (c *Client) checkKeys(bad badFunc) {
	ways := 0
	for _, is := range []bool{c.JWKS != nil, c.JWKSURI != "", c.Workload != nil} {
		if is {
			ways++
		}
	}
	switch {
	case ways != 1:
		bad("jwks", `"private_key_jwt" needs one of jwks, jwks_uri and assertion = { issuer = "…", subject = "…" }`)
	case len(c.Secrets) > 0:
		bad("secrets", `a client that authenticates by "private_key_jwt" has no secret`)
	case c.JWKS != nil && c.JWKS.Len() == 0:
		bad("jwks", "holds no key that can be used: public keys only, RSA of 2048 bits at least, P-256, P-384, P-521 or Ed25519")
	case c.JWKSURI != "" && !strings.HasPrefix(c.JWKSURI, "https://"):
		bad("jwks_uri", "must be an https URL (RFC 7591 §2)")
	case c.Workload != nil && (c.Workload.Issuer == "" || c.Workload.Subject == ""):
		bad("assertion", "needs issuer and subject, as the platform's tokens say them")
	case c.Workload != nil:
		if err := c.Workload.checkSVID(); err != nil {
			bad("assertion", "%w", err)
		}
	}
	if c.AssertionAlg != "" && !slices.Contains(jwt.Algorithms(), c.AssertionAlg) {
		bad("token_endpoint_auth_signing_alg", "must be one of %s", strings.Join(jwt.Algorithms(), ", "))
	}
}

// checkTokens says what is wrong with the form of a client's tokens.
func (c *Client) checkTokens(bad badFunc) {
	if c.Format != "" && c.Format != FormatOpaque && c.Format != FormatJWT {
		bad("access_token_format", `must be "opaque" or "jwt"`)
	}
	if err := scopes.CheckJWTTyp(c.JWTTyp); err != nil {
		bad("jwt_typ", "%w", err)
	}
	for field, alg := range map[string]string{"signing_alg": c.SigningAlg, "introspection_signed_response_alg": c.ResponseAlg} {
		if alg != "" && alg != "ES256" && alg != "EdDSA" && alg != "RS256" {
			bad(field, "must be ES256, EdDSA or RS256")
		}
	}
}

func (c *Client) checkGrants(bad badFunc) {
	for _, g := range c.Grants {
		switch g {
		case GrantClientCredentials:
			if c.Public() {
				bad("grant_types", "client_credentials is for confidential clients only (RFC 6749 §4.4)")
			}
		case GrantPassword, GrantRefreshToken, GrantTokenExchange, GrantJWTBearer:
		default:
			bad("grant_types", `must be of "client_credentials", "password", "refresh_token", %q, %q`, GrantTokenExchange, GrantJWTBearer)
		}
	}
	if c.MayUse(GrantRefreshToken) && !c.MayUse(GrantPassword) {
		bad("grant_types", "refresh_token goes with password: client_credentials issues no refresh tokens (RFC 6749 §4.4.3)")
	}
}

func (c *Client) checkScopes(cat *scopes.Catalogue, bad badFunc) {
	c.checkBounds(cat, bad)
	for t := range c.Scope.Exact().All() {
		switch {
		case !cat.Has(t) && strings.Contains(t, "*"):
			bad("scope", `%q is not in [scopes], and is no wildcard: a wildcard ends in ":*", as in "orders:*"`, t)
		case !cat.Has(t):
			bad("scope", "%q is not in [scopes]%s", t, nearest.Hint(t, slices.Collect(cat.Names().All())))
		case t == scopes.ScopeSessions && !c.MayUse(GrantPassword):
			bad("scope", "%q is for the tokens of users: the client needs the grant type password", t)
		case t == scopes.ScopeIntrospect && !c.MayUse(GrantClientCredentials):
			bad("scope", "%q is for the tokens of clients: the client needs the grant type client_credentials", t)
		}
	}
	for t := range c.DefaultScope.All() {
		switch {
		case scopes.IsReserved(t):
			bad("default_scope", "%q can only be asked for by name", t)
		case !cat.Has(t):
			bad("default_scope", "%q is not in [scopes]%s", t, nearest.Hint(t, slices.Collect(cat.Names().All())))
		case !cat.Permits(c.Scope, t):
			bad("default_scope", "%q is not within this client's scope", t)
		}
	}
}

// checkBounds holds what a token of this client can carry against the bounds. Wildcards allow what
// need not be asked for at once; scopes over Grantor are asked for alone.
func (c *Client) checkBounds(cat *scopes.Catalogue, bad badFunc) {
	apis := c.Scope.Exact().Filter(func(t string) bool { return !scopes.IsReserved(t) })
	if err := cat.Expand(apis).CheckBounds(); err != nil {
		bad("scope", "with all that its scopes imply, no token can carry it: %w", err)
	}
	if err := cat.Expand(c.DefaultScope).CheckBounds(); err != nil {
		bad("default_scope", "with all that its scopes imply, no token can carry it: %w", err)
	}
	if err := CheckAudience(c.Audience); err != nil {
		bad("audience", "%w", err)
	}
}

// CheckAudience says whether a token may carry an audience, by the bounds of scopes.
func CheckAudience(list []string) error {
	bytes := 0
	for _, a := range list {
		bytes += len(a)
	}
	if len(list) > scopes.MaxTokens || bytes > scopes.MaxBytes {
		return fmt.Errorf("%d resources of %d bytes together, at most %d and %d are allowed in one token", len(list), bytes, scopes.MaxTokens, scopes.MaxBytes)
	}
	return nil
}

// NewID draws an id of a client: unreserved characters only (RFC 3986 §2.3).
func NewID() string { return strings.ToLower(rand.Text()[:20]) }

// CheckID says whether text can be a client_id: 1 to MaxIDBytes of printable
// ASCII (RFC 6749 App. A.1).
func CheckID(text string) error {
	if text == "" || len(text) > MaxIDBytes {
		return fmt.Errorf("a client id has 1 to %d characters", MaxIDBytes)
	}
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return errors.New("a client id holds printable ASCII only (RFC 6749 App. A.1)")
		}
	}
	return nil
}
