package server

import (
	"errors"
	"fmt"
	"slices"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// exchangedScope returns what the new token may carry, and leaves the audience in the exchange: of
// the subject token's scopes and resources those that the client, its policy and the target have
// too (RFC 8693 §5).
func (s *Server) exchangedScope(x *exchange, e *tokenExchange) (scopes.Set, error) {
	had, err := scopes.ParseGranted(e.subject.record.Scope)
	if err != nil {
		return scopes.Set{}, fmt.Errorf("%w: scope", tokens.ErrRecord)
	}
	asked, err := askedScope(x.form.Get("scope"))
	if err != nil {
		return scopes.Set{}, err
	}
	like := s.leftAudience(x.client, e.subject.record.Audience)
	allowed := had.Filter(func(t string) bool {
		return s.cfg.Catalogue.Permits(x.client.Scope, t) && x.client.ExchangePermits(s.cfg.Catalogue, t)
	})
	granted, err := s.narrowExchange(e, asked, allowed)
	if err != nil {
		return scopes.Set{}, err
	}
	served := func(t string) bool { return serves(x.client, e.subject.record, s.resourcesOf(like, t)) }
	if granted = granted.Filter(served); granted.IsEmpty() {
		return scopes.Set{}, e.nothingLeft()
	}
	targets, err := s.targetsOf(x, e.subject.record)
	if err != nil {
		return scopes.Set{}, err
	}
	granted, x.audience, err = s.narrowTo(like, granted, targets)
	if err != nil {
		return scopes.Set{}, err
	}
	return granted, fits(granted, x.audience)
}

func (e *tokenExchange) nothingLeft() error {
	if e.foreign != nil {
		return refusal(codeInvalidScope, "no scope of this client's exchange policy is also allowed to the client and within audience of the policy")
	}
	return refusal(codeInvalidScope, "no scope of subject_token is also allowed to this client and by its exchange policy (RFC 8693 §5)")
}

// narrowExchange returns the scopes that were asked for, or all that are allowed.
func (s *Server) narrowExchange(e *tokenExchange, asked, allowed scopes.Set) (scopes.Set, error) {
	why := "is not in subject_token, or not allowed to this client and by its exchange policy: an exchange never widens (RFC 8693 §5)"
	if e.foreign != nil {
		why = "is not allowed to this client and by its exchange policy: scopes of a JWT of another issuer give nothing (RFC 7521 §4.1)"
	}
	for t := range asked.All() {
		if !allowed.Has(t) {
			return scopes.Set{}, refusal(codeInvalidScope, "%s %s", named("the scope", t, "a scope that was asked for"), why)
		}
	}
	if asked.IsEmpty() {
		return allowed, nil
	}
	return s.cfg.Catalogue.Expand(asked).Intersect(allowed), nil
}

// leftAudience is a client whose scopes without a resource have the part of an audience that no
// scope's resource explains, and that the policy of c lets a new token name.
func (s *Server) leftAudience(c *clients.Client, audience []string) *clients.Client {
	explained := s.cfg.Catalogue.Audience(s.cfg.Catalogue.Names())
	like := &clients.Client{}
	like.Audience = slices.DeleteFunc(slices.Clone(audience), func(a string) bool {
		return scopes.Names(explained, a) || !c.ExchangeServes(a)
	})
	return like
}

// mayTarget says whether a new token may name a resource: the subject token names it, and so may
// the policy.
func mayTarget(c *clients.Client, subject *tokens.Record, resource string) bool {
	return scopes.Names(subject.Audience, resource) && c.ExchangeServes(resource)
}

// serves says whether a scope of these resources may be in a new token. One without a resource may
// be where the policy names none.
func serves(c *clients.Client, subject *tokens.Record, resources []string) bool {
	if len(resources) == 0 {
		return len(c.Exchange.Audience) == 0
	}
	return slices.ContainsFunc(resources, func(r string) bool { return mayTarget(c, subject, r) })
}

// targetsOf returns the resources for which a token is asked (RFC 8693 §2.1): those of resource,
// and those of audience, each a resource or the client id of an API. The id of an API that no new
// token may name stays as it is, and is refused as an id that nobody has.
func (s *Server) targetsOf(x *exchange, subject *tokens.Record) ([]string, error) {
	targets := slices.Clone(x.form["resource"])
	if err := checkResources(targets); err != nil {
		return nil, err
	}
	for _, a := range x.form["audience"] {
		c, err := s.cfg.Clients.Get(x, a)
		if err != nil && !errors.Is(err, clients.ErrUnknown) {
			return nil, err
		}
		if err == nil && c.Resource != "" && !c.Disabled && mayTarget(x.client, subject, c.Resource) {
			a = c.Resource
		}
		targets = append(targets, a)
	}
	return targets, nil
}
