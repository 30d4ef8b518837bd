package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// active is the answer for an active token (RFC 7662 §2.2).
type active struct {
	scope, clientID, username, tokenType string
	exp, iat, nbf                        int64
	sub, subType                         string   // "client" or "user": never mixed up (RFC 9700 §4.15)
	aud, networks                        []string // networks: see Record.Networks
	iss, jti                             string
	names                                feedNames     // of access tokens alone
	position                             feed.Position // up to which the feed was applied before; "": not asked for
	claims                               claims.Set    // custom ones, of access tokens alone
	bound                                tokens.Confirmation
	record                               *tokens.Record // of access tokens alone: who acts
}

func (a *active) object(o jsonobject.Object) []byte {
	o = o.Truth("active", true).TextOr("scope", a.scope).Text("client_id", a.clientID)
	o = o.TextOr("username", a.username)
	o = o.Text("token_type", a.tokenType)
	if a.exp != 0 { // an API key may have no end
		o = o.Number("exp", a.exp)
	}
	o = o.Number("iat", a.iat).Number("nbf", a.nbf)
	o = o.Text("sub", a.sub).Text("sub_type", a.subType).List("aud", a.aud)
	o = a.names.members(o.List("allowed_networks", a.networks).Text("iss", a.iss).Text("jti", a.jti))
	o = a.bound.Member(o)
	if a.record != nil {
		o = actorMember(o, a.record)
	}
	return a.claims.AppendMembers(o.TextOr("position", string(a.position))).Close()
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
	if err == nil && x.asking.client != nil && p.token.Name() == x.asking.token.Name() {
		return aboutItself()
	}
	position, unknown := s.appliedPosition(x) // before the record is read
	if unknown != nil {
		return unknown
	}
	found, err := s.lookUp(x, p, err)
	switch {
	case errors.Is(err, errInactive):
		return s.notActive(x, p.token, err)
	case err != nil:
		return err
	}
	hidden := whyHidden(x.client, found.record)
	if hidden == "" {
		hidden = whyWithheld(x, found.record)
	}
	if hidden != "" {
		return s.notActive(x, p.token, hidden)
	}
	s.cfg.Metrics.Introspected(true, "")
	s.noteUse(found)
	r := found.record
	answer := active{
		scope: r.Scope, clientID: r.ClientID, tokenType: tokenType(r.Confirmation), bound: r.Confirmation,
		exp: unixOrNone(r.ExpiresAt()), iat: r.IssuedAt.Unix(), nbf: r.IssuedAt.Unix(), networks: r.Networks,
		username: r.Username, aud: r.Audience, iss: s.cfg.Issuer, jti: found.token.Name(), record: r,
		names: s.names(found), position: position, claims: claims.Trusted(r.Claims),
	}
	answer.sub, answer.subType = r.Sub()
	return s.answerIntrospection(x, answer.object(newAnswer()))
}

// tokenType is how a token is presented (RFC 9449 §5, RFC 6750). A token that is bound to a
// certificate alone is a bearer token by its scheme (RFC 8705 §3).
func tokenType(c tokens.Confirmation) string {
	if c.HasKey() {
		return "DPoP"
	}
	return "Bearer"
}

// introspectRefresh shows a refresh token to its own client alone. A resource server that reads
// only "active" must never take it for an access token.
func (s *Server) introspectRefresh(x *exchange, t tokens.Token) error {
	f, err := s.cfg.Store.Session(x, t)
	if err != nil && !errors.Is(err, tokens.ErrNotFound) {
		return err
	}
	if why := s.whyNotRefreshed(f, t, x.client, err); why != "" {
		return s.notActive(x, t, why)
	}
	s.cfg.Metrics.Introspected(true, "")
	ends := s.endOf(f, x.client)
	answer := active{scope: f.Scope, clientID: f.ClientID, tokenType: "refresh_token", username: f.Username,
		exp: ends.Unix(), iat: f.LastUsed.Unix(), nbf: f.Created.Unix(), sub: f.Subject, subType: "user", aud: f.Audience,
		iss: s.cfg.Issuer, jti: t.ID().String(), bound: f.Confirmation}
	return s.answerIntrospection(x, answer.object(newAnswer()))
}

// whyNotRefreshed is why a refresh token cannot be used; "": it is the present one of its session,
// and the client's own. err is the error of a session that is not there.
func (s *Server) whyNotRefreshed(f *tokens.Session, t tokens.Token, c *clients.Client, err error) inactiveReason {
	switch {
	case err != nil:
		return s.whyGone(presented{token: t}, err)
	case f.ClientID != c.ID:
		return inactiveOthers
	case f.ClientEpoch != c.Epoch:
		return inactiveClientRevoked
	case f.Generation > t.Generation:
		return inactiveUsed
	case f.Generation < t.Generation:
		return inactiveLost
	case f.Created.Before(s.cfg.NotBefore):
		return inactiveNotBefore
	case !c.MayUse(clients.GrantRefreshToken):
		return inactiveGrant
	case !s.now().Before(s.endOf(f, c)):
		return inactiveExpired
	}
	return ""
}

// activeToken is an active access token.
type activeToken struct {
	token  tokens.Token
	record *tokens.Record  // its scope is what still holds
	client *clients.Client // to which it was issued

	rest []*clients.Client // of an exchanged token: on whom else it rests
}

// lookUp finds the active access token that identify made out, by all the state that it rests on
// (docs/evidence/conformance.md IN-24). It returns errInactive, or the error of a store or registry
// that could not answer.
func (s *Server) lookUp(ctx context.Context, p presented, err error) (activeToken, error) {
	switch {
	case errors.Is(err, tokens.ErrNotOurs):
		return activeToken{}, inactiveNotOurs
	case err == nil && p.token.Kind == tokens.Refresh:
		return activeToken{}, inactiveNotAccess
	case err != nil:
		return activeToken{}, err
	}
	r, err := s.cfg.Store.Load(ctx, p.token)
	switch {
	case errors.Is(err, tokens.ErrNotFound):
		return activeToken{}, s.whyGone(p, err)
	case errors.Is(err, tokens.ErrRecord) && s.isForged(p):
		return activeToken{}, inactiveNotOurs
	case err != nil:
		return activeToken{}, err
	case r.IssuedAt.Before(s.cfg.NotBefore):
		return activeToken{}, inactiveNotBefore
	case r.Expired(s.now()): // the store may keep it some milliseconds longer
		return activeToken{}, inactiveExpired
	}
	if err := s.prove(p, r); err != nil {
		return activeToken{}, err
	}
	c, err := s.clientStillGrants(ctx, r, grantOf(p.token, r))
	if err != nil {
		return activeToken{}, err
	}
	if p.token.Kind == tokens.ClientKey {
		if err := s.claimKey(r, c); err != nil {
			return activeToken{}, err
		}
	}
	found := activeToken{token: p.token, record: r, client: c}
	if r.Exchange != nil {
		err = s.chainStillGrants(ctx, &found)
	}
	return found, err
}

// clientStillGrants returns the client of a record. It holds the record against the client's
// present registration: enabled, of the same epoch, with the grant type; "": it needs none.
// Scopes that the client may no longer have are taken out; errInactive where none is left.
func (s *Server) clientStillGrants(ctx context.Context, r *tokens.Record, grant string) (*clients.Client, error) {
	c, err := s.enabledClient(ctx, r.ClientID, r.ClientEpoch)
	switch {
	case err != nil:
		return nil, err
	case grant != "" && !c.MayUse(grant):
		return nil, inactiveGrant
	}
	had, err := scopes.ParseGranted(r.Scope)
	if err != nil {
		return nil, fmt.Errorf("%w: scope: %v", tokens.ErrRecord, err) //nolint:errorlint // not the request's
	}
	still := had.Filter(func(t string) bool {
		return s.cfg.Catalogue.Has(t) && s.cfg.Catalogue.Permits(c.Scope, t)
	})
	if still.IsEmpty() && !had.IsEmpty() {
		return nil, inactiveScope
	}
	r.Scope = still.String()
	s.tieClaims(r, still)
	return c, nil
}

// enabledClient returns a client that is enabled and has an epoch.
func (s *Server) enabledClient(ctx context.Context, id string, epoch clients.Epoch) (*clients.Client, error) {
	c, err := s.cfg.Clients.Get(ctx, id)
	switch {
	case errors.Is(err, clients.ErrUnknown):
		return nil, inactiveClient
	case err != nil:
		return nil, err
	case c.Disabled:
		return nil, inactiveDisabled
	case c.Epoch != epoch:
		return nil, inactiveClientRevoked
	}
	return c, nil
}

func grantOf(t tokens.Token, r *tokens.Record) string {
	switch {
	case r.Exchange != nil && r.Exchange.Issuer != "": // by one of two grants: exchangeStillAllowed asks
		return ""
	case r.Exchange != nil:
		return clients.GrantTokenExchange
	case t.Kind == tokens.ClientKey:
		return ""
	case r.Subject != "":
		return clients.GrantPassword
	}
	return clients.GrantClientCredentials
}
