package clients

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/scopes"
)

// NeverExchanges says why the client can never exchange a token of another one, although its policy
// names that one; nil: it can, as far as registrations tell.
func (c *Client) NeverExchanges(cat *scopes.Catalogue, from *Client) error {
	switch p := c.Exchange; {
	case p == nil:
		return nil
	case len(from.Grants) == 0:
		return errors.New("has no grant type, so it has no tokens")
	case p.maxDepth() == 1 && from.onlyExchanges(): // those for a JWT of another issuer count as exchanged once
		return errors.New("has exchanged tokens alone: set max_depth = 2 or more")
	case from.ID == c.ID && from.onlyExchanges():
		return errors.New("has tokens that it exchanged alone, and nobody exchanges a token twice")
	}
	if err := c.noSubjectOf(from); err != nil {
		return err
	}
	return c.nothingInCommon(cat, from)
}

// onlyExchanges says whether the client gets tokens for other ones alone.
func (c *Client) onlyExchanges() bool { return onlyUses(c, GrantTokenExchange, GrantJWTBearer) }

// onlyUses says whether the client has none but these grant types.
func onlyUses(c *Client, grants ...string) bool {
	return !slices.ContainsFunc(c.Grants, func(g string) bool { return !slices.Contains(grants, g) })
}

// noSubjectOf says why no token of another client is for a subject that the policy takes.
func (c *Client) noSubjectOf(from *Client) error {
	types := c.Exchange.SubjectTypes
	if len(types) == 0 || slices.ContainsFunc(types, from.mayHaveSubject) {
		return nil
	}
	var has []string
	for _, t := range []string{subjectUser, subjectClient, subjectExternal} {
		if from.mayHaveSubject(t) {
			has = append(has, strconv.Quote(t))
		}
	}
	return fmt.Errorf("has no tokens for a subject of subject_types: its own are for %s", strings.Join(has, " and "))
}

// The words of SubjectTypes: tokens.SubjectUser and so on.
const (
	subjectUser     = "user"
	subjectClient   = "client"
	subjectExternal = "external"
)

// mayHaveSubject says whether tokens of the client may be for subjects of a type. What it exchanges
// may be for any that its own policy takes.
func (c *Client) mayHaveSubject(kind string) bool {
	if p := c.Exchange; p != nil && c.MayUse(GrantTokenExchange) && len(p.SubjectClients) > 0 &&
		(len(p.SubjectTypes) == 0 || slices.Contains(p.SubjectTypes, kind)) {
		return true
	}
	switch kind {
	case subjectUser:
		return c.MayUse(GrantPassword)
	case subjectClient:
		return c.MayUse(GrantClientCredentials)
	}
	return c.Exchange != nil && c.exchanges() && len(c.Exchange.SubjectIssuers) > 0
}

// nothingInCommon says why no scope of another client's tokens can be in an exchanged token.
func (c *Client) nothingInCommon(cat *scopes.Catalogue, from *Client) error {
	both := cat.Names().Filter(func(t string) bool {
		return from.mayHold(cat, t) && cat.Permits(c.Scope, t) && c.ExchangePermits(cat, t)
	})
	if both.IsEmpty() {
		return errors.New("has no scope that this client and its policy have too")
	}
	served := both.Filter(func(t string) bool { return c.servesTokensOf(cat, from, t) })
	if len(c.Exchange.Audience) > 0 && served.IsEmpty() {
		return errors.New("has no tokens for a resource in audience with a scope of this client")
	}
	return nil
}

// mayHold says whether a token of the client may have a scope.
func (c *Client) mayHold(cat *scopes.Catalogue, scope string) bool {
	return cat.Permits(c.Scope, scope) && (!c.onlyExchanges() || c.ExchangePermits(cat, scope))
}

// servesTokensOf says whether tokens of another client with a scope may name a resource that the
// policy of c has. With a scope that belongs to none, what that client exchanges has the audience
// of a third one's token.
func (c *Client) servesTokensOf(cat *scopes.Catalogue, from *Client, scope string) bool {
	if s, _ := cat.Get(scope); s.Resource != "" {
		return c.ExchangeServes(s.Resource) && (!from.onlyExchanges() || from.ExchangeServes(s.Resource))
	}
	p := from.Exchange
	if p != nil && from.MayUse(GrantTokenExchange) && len(p.SubjectClients) > 0 && (len(p.Audience) == 0 || slices.ContainsFunc(p.Audience, c.ExchangeServes)) {
		return true
	}
	return slices.ContainsFunc(from.Audience, c.ExchangeServes)
}
