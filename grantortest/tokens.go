package grantortest

import (
	"time"

	"github.com/grantor-auth/grantor/internal/testserver"
)

// Token returns an opaque access token of a machine with these scopes.
func (s *Server) Token(scopes ...string) string {
	s.t.Helper()
	return s.Issue(Want{Scopes: scopes}).AccessToken
}

// JWT returns a JWT access token of a machine with these scopes (RFC 9068), for an API that
// verifies with the key set.
func (s *Server) JWT(scopes ...string) string {
	s.t.Helper()
	return s.Issue(Want{Scopes: scopes, JWT: true}).AccessToken
}

// UserToken returns an opaque access token of a user with these scopes, after a login by password.
// A user whom nobody added is added, with sub as the name.
func (s *Server) UserToken(sub string, scopes ...string) string {
	s.t.Helper()
	return s.Login(sub, scopes...).AccessToken
}

// Issued is what a login answers (RFC 6749 §5.1).
type Issued struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"` // "Bearer", or "DPoP" where it is bound to a key
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
	ExpiresIn    int    `json:"expires_in"` // seconds
}

// SetClaims sets the custom claims of a user, who is added where there is none. The next login and
// the next refresh take them.
func (s *Server) SetClaims(sub string, claims map[string]any) {
	s.t.Helper()
	s.must(s.inner.SetClaims(sub, claims))
}

// Login is UserToken with the refresh token of the session, which App may use.
func (s *Server) Login(sub string, scopes ...string) Issued {
	s.t.Helper()
	return s.Issue(Want{Scopes: scopes, Subject: sub})
}

// Want describes a token. Scopes are required; the zero value of every other field is the server's
// own choice.
type Want struct {
	Scopes   []string
	Subject  string        // a user's sub: the user logs in; "": the token is a machine's
	Client   string        // the id of the client that it is issued to, which is made where it is not there
	Lifetime time.Duration // whole seconds
	Audience []string
	JWT      bool // RFC 9068; else opaque

	Claims map[string]any // custom claims: a user keeps them for later tokens; nil: those that the user has

	Key *Key // to which the token is bound (RFC 9449); nil: the token is a bearer token
}

// Issue returns the token that is wanted, with the refresh token of a user's session.
func (s *Server) Issue(want Want) Issued {
	s.t.Helper()
	inner := testserver.Want{Scopes: want.Scopes, Subject: want.Subject, Client: want.Client, Lifetime: want.Lifetime,
		Audience: want.Audience, JWT: want.JWT, Claims: want.Claims}
	if want.Key != nil {
		inner.Prove = want.Key.forToken
	}
	got, err := s.inner.Token(inner)
	s.must(err)
	return Issued{AccessToken: got.AccessToken, TokenType: got.TokenType, RefreshToken: got.RefreshToken, Scope: got.Scope, ExpiresIn: got.ExpiresIn}
}

// Revoke ends a token that is active (RFC 7009). Of a refresh token the session ends.
func (s *Server) Revoke(token string) {
	s.t.Helper()
	s.must(s.inner.Revoke(token))
}

// Expire lets one access token end, as it would at the end of its lifetime: introspection calls it
// inactive. Other tokens stay. A JWT that an API verifies itself ends by the API's clock alone: see
// Advance. With middleware.JWTConfig.Follow the API refuses it within the lease, as after Revoke.
func (s *Server) Expire(token string) {
	s.t.Helper()
	s.must(s.inner.Expire(token))
}
