package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// active is the answer for an active token (RFC 7662 §2.2).
type active struct {
	scope, clientID, username, tokenType string
	exp, iat, nbf                        int64
	sub, subType                         string // "client" or "user": never mixed up (RFC 9700 §4.15)
	aud                                  []string
	iss, jti                             string
}

func (a *active) object(o jsonobject.Object) []byte {
	o = o.Truth("active", true).TextOr("scope", a.scope).Text("client_id", a.clientID)
	o = o.TextOr("username", a.username)
	o = o.Text("token_type", a.tokenType).Number("exp", a.exp).Number("iat", a.iat).Number("nbf", a.nbf)
	o = o.Text("sub", a.sub).Text("sub_type", a.subType).List("aud", a.aud)
	return o.Text("iss", a.iss).Text("jti", a.jti).Close()
}

// inactive is the whole answer for every other text (RFC 7662 §2.2).
func inactive() []byte { return []byte(`{"active":false}`) }

// introspect says whether a token is active, to clients that may know (RFC 7662 §2).
func (s *Server) introspect(x *exchange) error {
	text := x.form.Get("token")
	if text == "" {
		return refusal(codeInvalidRequest, "token is required (RFC 7662 §2.1)")
	}
	p, err := s.identify(x, text)
	if err == nil && p.token.Kind == tokens.Refresh {
		return s.introspectRefresh(x, p.token)
	}
	found, err := s.lookUp(x, p, err)
	switch {
	case errors.Is(err, errInactive), err == nil && !maySee(x.client, found.record):
		s.cfg.Metrics.Introspected(false)
		return s.answerIntrospection(x, inactive())
	case err != nil:
		return err
	}
	s.cfg.Metrics.Introspected(true)
	r := found.record
	answer := active{
		scope: r.Scope, clientID: r.ClientID, tokenType: "Bearer",
		exp: r.ExpiresAt().Unix(), iat: r.IssuedAt.Unix(), nbf: r.IssuedAt.Unix(),
		sub: r.ClientID, subType: "client", aud: r.Audience, iss: s.cfg.Issuer, jti: found.token.Name(),
	}
	if r.Subject != "" {
		answer.sub, answer.subType, answer.username = r.Subject, "user", r.Username
	}
	return s.answerIntrospection(x, answer.object(newAnswer()))
}

// introspectRefresh shows a refresh token to its own client alone. A resource server that reads
// only "active" must never take it for an access token.
func (s *Server) introspectRefresh(x *exchange, t tokens.Token) error {
	f, err := s.cfg.Store.Session(x, t)
	if err != nil && !errors.Is(err, tokens.ErrNotFound) {
		return err
	}
	if err != nil || !s.mayBeRefreshed(f, t, x.client) {
		s.cfg.Metrics.Introspected(false)
		return s.answerIntrospection(x, inactive())
	}
	s.cfg.Metrics.Introspected(true)
	ends := s.endOf(f, x.client)
	answer := active{scope: f.Scope, clientID: f.ClientID, tokenType: "refresh_token", username: f.Username,
		exp: ends.Unix(), iat: f.LastUsed.Unix(), nbf: f.Created.Unix(), sub: f.Subject, subType: "user", aud: f.Audience,
		iss: s.cfg.Issuer, jti: t.ID().String()}
	return s.answerIntrospection(x, answer.object(newAnswer()))
}

// mayBeRefreshed says whether a refresh token is the present one of its session, and the client's
// own.
func (s *Server) mayBeRefreshed(f *tokens.Session, t tokens.Token, c *clients.Client) bool {
	return f.ClientID == c.ID && f.ClientEpoch == c.Epoch && f.Generation == t.Generation &&
		!f.Created.Before(s.cfg.NotBefore) && c.MayUse(clients.GrantRefreshToken) &&
		s.now().Before(s.endOf(f, c))
}

// errInactive: the token is not active, whatever the reason. It is an answer and not a fault.
var errInactive = errors.New("inactive")

// activeToken is an active access token.
type activeToken struct {
	token  tokens.Token
	record *tokens.Record // its scope is what still holds
}

// lookUp finds the active access token that identify made out, by all the state that it rests on
// (docs/conformance.md IN-24). It returns errInactive, or the error of a store or registry that
// could not answer.
func (s *Server) lookUp(ctx context.Context, p presented, err error) (activeToken, error) {
	if errors.Is(err, tokens.ErrNotOurs) || err == nil && p.token.Kind == tokens.Refresh {
		return activeToken{}, errInactive
	}
	if err != nil {
		return activeToken{}, err
	}
	r, err := s.cfg.Store.Load(ctx, p.token)
	if errors.Is(err, tokens.ErrNotFound) || errors.Is(err, tokens.ErrRecord) && s.isForged(p) {
		return activeToken{}, errInactive
	}
	if err != nil {
		return activeToken{}, err
	}
	// The store may keep a record some milliseconds longer than it is good for.
	if r.IssuedAt.Before(s.cfg.NotBefore) || !s.now().Before(r.ExpiresAt()) {
		return activeToken{}, errInactive
	}
	if err := s.prove(p, r); err != nil {
		return activeToken{}, err
	}
	if err := s.clientStillGrants(ctx, r); err != nil {
		return activeToken{}, err
	}
	return activeToken{p.token, r}, nil
}

// clientStillGrants holds a record against the client's present registration: enabled, of the same
// epoch, with the grant type. Scopes that the client may no longer have are taken out; errInactive
// where none is left.
func (s *Server) clientStillGrants(ctx context.Context, r *tokens.Record) error {
	c, err := s.cfg.Clients.Get(ctx, r.ClientID)
	if errors.Is(err, clients.ErrUnknown) {
		return errInactive
	}
	if err != nil {
		return err
	}
	if c.Disabled || c.Epoch != r.ClientEpoch || !c.MayUse(grantOf(r)) {
		return errInactive
	}
	had, err := scopes.ParseGranted(r.Scope)
	if err != nil {
		return fmt.Errorf("%w: scope: %v", tokens.ErrRecord, err) //nolint:errorlint // not the request's
	}
	still := had.Filter(func(t string) bool {
		return s.cfg.Catalogue.Has(t) && s.cfg.Catalogue.Permits(c.Scope, t)
	})
	if still.IsEmpty() && !had.IsEmpty() {
		return errInactive
	}
	r.Scope = still.String()
	return nil
}

func grantOf(r *tokens.Record) string {
	if r.Subject != "" {
		return clients.GrantPassword
	}
	return clients.GrantClientCredentials
}

// maySee says whether a caller may see an access token (RFC 7662 §2.2, §4). A token without an aud
// is seen by its own client, and by clients with introspect = "any".
func maySee(caller *clients.Client, r *tokens.Record) bool {
	switch {
	case caller == nil:
		return false
	case caller.ID == r.ClientID, caller.Introspect == clients.SightAny:
		return true
	case caller.Introspect == clients.SightAudience:
		return caller.Resource != "" && slices.Contains(r.Audience, caller.Resource)
	}
	return false
}
