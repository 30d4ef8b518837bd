package clients

import (
	"reflect"
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/internal/nearest"
	"github.com/grantor-auth/grantor/internal/spiffe"
	"github.com/grantor-auth/grantor/scopes"
)

// The grant types by which a client gets a token for another one.
const (
	GrantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange" // #nosec G101 -- a name; RFC 8693 §2.1
	GrantJWTBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"     // #nosec G101 -- a name; RFC 7523 §2.1: for a JWT of another issuer
)

// ExchangePolicy says what a client with the grant type token exchange may exchange (RFC 8693), or
// with the JWT bearer grant (RFC 7523 §2.1): whose tokens, and what the new tokens may be. It only
// ever narrows: no new token can do more than the token that it came from, or than the client
// itself.
type ExchangePolicy struct {
	SubjectClients []string `json:"subject_clients,omitempty"` // ids of the clients to which the tokens were issued; "*": every client
	SubjectIssuers []string `json:"subject_issuers,omitempty"` // trusted issuers whose JWTs it may exchange; it then needs Scope
	SubjectTypes   []string `json:"subject_types,omitempty"`   // of SubjectClients' tokens: "user", "client", "external"; none: all
	Audience       []string `json:"audience,omitempty"`        // for which resources; none: those of the token
	Scope          string   `json:"scope,omitempty"`           // the most that new tokens may carry; "": what the client may ask for
	Mode           string   `json:"mode,omitempty"`            // see ExchangeDelegation; "": that one
	Actors         []string `json:"actors,omitempty"`          // other clients whose tokens may be the actor_token
	MaxDepth       int      `json:"max_depth,omitempty"`       // exchanges that may lead to its tokens; 0: 1
	BoundTokens    bool     `json:"bound_tokens,omitempty"`    // tokens too that are bound to a key or certificate of somebody else
}

// The modes of an ExchangePolicy.
const (
	ExchangeDelegation    = "delegation"    // each token says who acts: the client, or the actor_token's client
	ExchangeImpersonation = "impersonation" // no token says so
	ExchangeEither        = "either"        // a token says so where an actor_token came
)

// MaxExchangeDepth bounds max_depth; it is tokens.MaxParents.
const MaxExchangeDepth = 4

// MayExchange says whether the policy of the client allows its token of this depth, which comes
// from a token of another client. subjectType is one of tokens.Subject….
func (c *Client) MayExchange(from, subjectType string, depth int) bool {
	p := c.Exchange
	if p == nil || !c.MayUse(GrantTokenExchange) || depth > p.maxDepth() {
		return false
	}
	if len(p.SubjectTypes) > 0 && !slices.Contains(p.SubjectTypes, subjectType) {
		return false
	}
	return slices.Contains(p.SubjectClients, "*") || slices.Contains(p.SubjectClients, from)
}

// MayExchangeIssuer says whether the policy of the client allows JWTs of a trusted issuer. By
// whichever grant they come, the new token is the same.
func (c *Client) MayExchangeIssuer(issuer string) bool {
	return c.Exchange != nil && c.exchanges() && slices.Contains(c.Exchange.SubjectIssuers, issuer)
}

// exchanges says whether the client has a grant type that needs a policy.
func (c *Client) exchanges() bool { return c.MayUse(GrantTokenExchange) || c.MayUse(GrantJWTBearer) }

// IsExchangeable says whether JWTs of a trusted issuer may be exchanged. A trust domain of SPIFFE
// proves clients alone.
func IsExchangeable(issuer string) bool { return !strings.HasPrefix(issuer, spiffe.Scheme) }

// UntrustedIssuer returns an issuer of the policy that is not among the trusted ones; "": all are.
func (r *Registration) UntrustedIssuer(trusted []string) string {
	if r.Exchange == nil {
		return ""
	}
	for _, issuer := range r.Exchange.SubjectIssuers {
		if !slices.Contains(trusted, issuer) {
			return issuer
		}
	}
	return ""
}

// MayActThrough says whether the client may exchange for an actor: itself, or one of its policy.
func (c *Client) MayActThrough(actor string) bool {
	return c.Exchange != nil && (actor == c.ID || slices.Contains(c.Exchange.Actors, actor))
}

// MayImpersonate says whether the policy of the client allows tokens that do not say who acts.
func (c *Client) MayImpersonate() bool {
	return c.Exchange != nil && (c.Exchange.Mode == ExchangeImpersonation || c.Exchange.Mode == ExchangeEither)
}

// ExchangePermits says whether the policy lets a new token carry a scope.
func (c *Client) ExchangePermits(cat *scopes.Catalogue, scope string) bool {
	return c.Exchange != nil && !scopes.IsReserved(scope) &&
		(c.Exchange.Scope == "" || cat.Permits(c.exchangeScope, scope))
}

// ExchangeServes says whether the policy lets a new token name a resource, in any spelling.
func (c *Client) ExchangeServes(resource string) bool {
	return c.Exchange != nil && (len(c.Exchange.Audience) == 0 || scopes.Names(c.Exchange.Audience, resource))
}

func (p *ExchangePolicy) maxDepth() int { return max(p.MaxDepth, 1) }

// checkExchange says what is wrong with a client's policy, or makes no sense.
func (c *Client) checkExchange(cat *scopes.Catalogue, bad badFunc) {
	p := c.Exchange
	switch has := c.exchanges(); {
	case p == nil && c.MayUse(GrantTokenExchange):
		bad("exchange", `the grant type token exchange needs a policy, such as exchange = { subject_clients = ["shop-app"] }`)
		return
	case p == nil && has:
		bad("exchange", `the JWT bearer grant needs a policy, such as exchange = { subject_issuers = ["https://idp.example.com"], scope = "orders:read" }`)
		return
	case p == nil:
		return
	case !has:
		bad("exchange", "needs the grant type %q, or %q for JWTs of other issuers", GrantTokenExchange, GrantJWTBearer)
	case c.Public():
		bad("exchange", "only a client that authenticates may exchange tokens: give it a secret or a key")
	case c.MayUse(GrantJWTBearer) && len(p.SubjectIssuers) == 0:
		bad("exchange", "the JWT bearer grant needs subject_issuers: whose JWTs the client may use")
	case !c.MayUse(GrantTokenExchange) && len(p.SubjectClients)+len(p.Actors) > 0:
		bad("exchange", "subject_clients and actors need the grant type %q: the JWT bearer grant takes JWTs of other issuers alone", GrantTokenExchange)
	case len(p.SubjectClients)+len(p.SubjectIssuers) == 0:
		bad("exchange", `says nobody's tokens: name clients in subject_clients ("*": every client), or issuers in subject_issuers`)
	case slices.Contains(p.SubjectClients, "*") && len(p.SubjectClients) > 1:
		bad("exchange", `subject_clients: "*" means every client, so the other names say nothing`)
	case p.MaxDepth < 0 || p.MaxDepth > MaxExchangeDepth:
		bad("exchange", "max_depth must be 1 to %d", MaxExchangeDepth)
	case p.Mode == ExchangeImpersonation && len(p.Actors) > 0:
		bad("exchange", `actors: with mode = "impersonation" no token names an actor`)
	}
	p.checkWords(cat, bad)
	c.checkExchangeScope(cat, bad)
}

func (p *ExchangePolicy) checkWords(cat *scopes.Catalogue, bad badFunc) {
	for _, t := range p.SubjectTypes {
		if t != subjectUser && t != subjectClient && t != subjectExternal {
			bad("exchange", `subject_types must be of "user", "client", "external"`)
		}
	}
	p.checkIssuers(bad)
	if !slices.Contains([]string{"", ExchangeDelegation, ExchangeImpersonation, ExchangeEither}, p.Mode) {
		bad("exchange", `mode must be "delegation", "impersonation" or "either"`)
	}
	for _, a := range p.Audience {
		if err := cat.CheckAudience(a); err != nil {
			bad("exchange", "audience: %w", err)
		}
	}
}

// checkIssuers demands a scope beside issuers: their JWTs have no scope of ours that would bound
// the new tokens.
func (p *ExchangePolicy) checkIssuers(bad badFunc) {
	for _, issuer := range p.SubjectIssuers {
		if !IsExchangeable(issuer) {
			bad("exchange", "subject_issuers: %q is a trust domain of SPIFFE, whose JWT-SVIDs prove clients and are not exchanged", issuer)
		}
	}
	if len(p.SubjectIssuers) > 0 && p.Scope == "" {
		bad("exchange", "subject_issuers needs scope: JWTs of other issuers have no scopes of this server, so the policy says what they give")
	}
}

// checkExchangeScope refuses a policy by which no token could ever be issued.
func (c *Client) checkExchangeScope(cat *scopes.Catalogue, bad badFunc) {
	for t := range c.exchangeScope.Exact().All() {
		switch {
		case scopes.IsReserved(t):
			bad("exchange", "scope: %q is never in an exchanged token", t)
		case !cat.Has(t):
			bad("exchange", "scope: %q is not in [scopes]%s", t, nearest.Hint(t, slices.Collect(cat.Names().All())))
		case !cat.Permits(c.Scope, t):
			bad("exchange", "scope: %q is not within this client's scope", t)
		}
	}
	some := cat.Names().Filter(func(t string) bool { return cat.Permits(c.Scope, t) && c.ExchangePermits(cat, t) })
	if some.IsEmpty() {
		bad("exchange", "no token could carry any scope: the client's scope and that of the policy have none in common")
	}
}

// exchangeRules reads the scope of a policy.
func (r *Registration) exchangeRules() (scopes.Rules, error) {
	if r.Exchange == nil {
		return scopes.Rules{}, nil
	}
	return scopes.ParseRules(r.Exchange.Scope)
}

// otherExchange says whether another policy may take something from the tokens that the client has.
// Each difference counts: verifiers that follow ask again, and are told.
func (s *Stored) otherExchange(before *Stored) bool {
	return before.Exchange != nil && !reflect.DeepEqual(before.Exchange, s.Exchange)
}
