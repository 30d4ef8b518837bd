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

// chainStillGrants holds an exchanged token against all that it came from: each of these tokens is
// active by itself, and each client that exchanged may still do so. Scopes that one of them has no
// more are taken out. It notes the clients on which the token rests.
func (s *Server) chainStillGrants(ctx context.Context, a *activeToken) error {
	r := a.record
	still, err := scopes.ParseGranted(r.Scope)
	if err != nil {
		return fmt.Errorf("%w: scope", tokens.ErrRecord)
	}
	had := still
	for _, from := range r.Exchange.Chain {
		c, left, err := s.parentStillGrants(ctx, from)
		if err != nil {
			return err
		}
		still = s.stillPermitted(from, c, still.Intersect(left))
		a.rest = append(a.rest, c)
		if err := s.exchangeStillAllowed(ctx, a, from, c); err != nil {
			return err
		}
	}
	if err := s.exchangeStillAllowed(ctx, a, r, a.client); err != nil {
		return err
	}
	still = s.stillPermitted(r, a.client, still)
	if still.IsEmpty() && !had.IsEmpty() {
		return inactiveScope
	}
	r.Scope = still.String()
	s.tieClaims(r, still)
	return nil
}

// stillPermitted takes out what the policy of the client that exchanged permits no more.
func (s *Server) stillPermitted(r *tokens.Record, c *clients.Client, set scopes.Set) scopes.Set {
	if r.Exchange == nil {
		return set
	}
	return set.Filter(func(t string) bool { return c.ExchangePermits(s.cfg.Catalogue, t) })
}

// parentStillGrants is clientStillGrants of a token that another one came from.
func (s *Server) parentStillGrants(ctx context.Context, r *tokens.Record) (*clients.Client, scopes.Set, error) {
	switch {
	case r.IssuedAt.Before(s.cfg.NotBefore):
		return nil, scopes.Set{}, inactiveNotBefore
	case r.Expired(s.now()):
		return nil, scopes.Set{}, inactiveExpired
	}
	c, err := s.clientStillGrants(ctx, r, grantOf(tokens.Token{}, r))
	if err != nil {
		return nil, scopes.Set{}, err
	}
	left, err := scopes.ParseGranted(r.Scope)
	return c, left, err
}

// exchangeStillAllowed holds one exchange of a chain against the present policy of the client that
// made it, and against the actor.
func (s *Server) exchangeStillAllowed(ctx context.Context, a *activeToken, r *tokens.Record, c *clients.Client) error {
	e := r.Exchange
	if e == nil {
		return nil
	}
	allowed := e.Actor != "" || c.MayImpersonate()
	if n := len(e.Chain); n > 0 {
		_, subjectType := r.Sub()
		from := e.Chain[n-1]
		allowed = allowed && c.MayExchange(from.ClientID, subjectType, e.Depth()) && mayExchangeBound(c, from)
	} else {
		allowed = allowed && c.MayExchangeIssuer(e.Issuer) && s.trustsIssuer(e.Issuer)
		if err := s.restsOnIssuer(ctx, a, e.Issuer); err != nil {
			return err
		}
	}
	foreign := func(resource string) bool { return !c.ExchangeServes(resource) }
	if !allowed || slices.ContainsFunc(r.Audience, foreign) {
		return inactiveExchange
	}
	return s.actorStillActs(ctx, a, e, c)
}

// restsOnIssuer notes the entry of the trusted issuer on whose JWT a token rests. A registry that
// knows none serves a configuration that never changes.
func (s *Server) restsOnIssuer(ctx context.Context, a *activeToken, issuer string) error {
	c, err := s.cfg.Clients.Get(ctx, clients.IssuerID(issuer))
	switch {
	case err == nil:
		a.rest = append(a.rest, c)
	case !errors.Is(err, clients.ErrUnknown):
		return err
	}
	return nil
}

// actorStillActs holds the actor of an exchange against its present registration.
func (s *Server) actorStillActs(ctx context.Context, a *activeToken, e *tokens.Exchange, c *clients.Client) error {
	if e.Actor == "" || e.Actor == c.ID { // c was looked at
		return nil
	}
	if !c.MayActThrough(e.Actor) {
		return inactiveExchange
	}
	actor, err := s.enabledClient(ctx, e.Actor, e.ActorEpoch)
	if err != nil {
		return err
	}
	a.rest = append(a.rest, actor)
	return nil
}

// restingOn returns the clients on which the new token rests beside the one that exchanges.
func (e *tokenExchange) restingOn() []*clients.Client {
	list := e.subject.rest[:len(e.subject.rest):len(e.subject.rest)]
	if e.foreign == nil {
		list = append(list, e.subject.client)
	}
	if e.actor != nil {
		list = append(list, e.actor)
	}
	return list
}

// namesOfExchanged adds the names of all that an exchanged token came from: the clients' and the
// tokens'. So a verifier that follows refuses the token with the end of any of these.
func (s *Server) namesOfExchanged(own feedNames, a activeToken) feedNames {
	if own.rev == nil {
		return own
	}
	add := func(name string) {
		if !slices.Contains(own.rev, name) {
			own.rev = append(own.rev, name)
		}
	}
	for _, c := range a.rest {
		name := c.FeedName()
		if name == "" {
			return feedNames{}
		}
		add(name)
	}
	for _, p := range a.record.Exchange.Parents {
		add(s.codec.NameOf(p, a.token))
	}
	return own
}

func actorMember(o jsonobject.Object, r *tokens.Record) jsonobject.Object {
	actors := actorsOf(r)
	if len(actors) == 0 {
		return o
	}
	return append(o.Name("act"), actorObject(actors)...)
}

func actorObject(actors []string) []byte {
	o := make(jsonobject.Object, 0, 64).Text("sub", actors[0]).Text("sub_type", tokens.SubjectClient)
	if len(actors) > 1 {
		o = append(o.Name("act"), actorObject(actors[1:])...)
	}
	return o.Close()
}

// actorsOf returns the clients that act, the last one first. They come from records alone: nothing
// that a client sends is among them.
func actorsOf(r *tokens.Record) (list []string) {
	if r.Exchange == nil {
		return nil
	}
	add := func(e *tokens.Exchange) {
		if e != nil && e.Actor != "" {
			list = append(list, e.Actor)
		}
	}
	add(r.Exchange)
	for _, from := range slices.Backward(r.Exchange.Chain) {
		add(from.Exchange)
	}
	return list
}
