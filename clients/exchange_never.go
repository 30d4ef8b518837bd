package clients

import (
	"errors"
	"slices"

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
	case p.maxDepth() == 1 && onlyUses(from, GrantTokenExchange):
		return errors.New("has exchanged tokens alone: set max_depth = 2 or more")
	case from.ID == c.ID && onlyUses(from, GrantTokenExchange):
		return errors.New("has tokens that it exchanged alone, and nobody exchanges a token twice")
	case slices.Equal(p.SubjectTypes, []string{"user"}) && onlyUses(from, GrantClientCredentials):
		return errors.New(`has no users' tokens, and subject_types is "user" alone`)
	case slices.Equal(p.SubjectTypes, []string{"client"}) && onlyUses(from, GrantPassword, GrantRefreshToken):
		return errors.New(`has users' tokens alone, and subject_types is "client" alone`)
	}
	return c.nothingInCommon(cat, from)
}

// onlyUses says whether the client has none but these grant types.
func onlyUses(c *Client, grants ...string) bool {
	return !slices.ContainsFunc(c.Grants, func(g string) bool { return !slices.Contains(grants, g) })
}

// nothingInCommon says why no scope of another client's tokens can be in an exchanged token.
func (c *Client) nothingInCommon(cat *scopes.Catalogue, from *Client) error {
	both := cat.Names().Filter(func(t string) bool {
		return cat.Permits(from.Scope, t) && cat.Permits(c.Scope, t) && c.ExchangePermits(cat, t)
	})
	if both.IsEmpty() {
		return errors.New("has no scope that this client and its policy have too")
	}
	served := both.Filter(func(t string) bool { return slices.ContainsFunc(resourcesOf(cat, from, t), c.ExchangeServes) })
	if len(c.Exchange.Audience) > 0 && served.IsEmpty() {
		return errors.New("has no tokens for a resource in audience with a scope of this client")
	}
	return nil
}

// resourcesOf are the resources that tokens of a client with a scope name.
func resourcesOf(cat *scopes.Catalogue, c *Client, scope string) []string {
	if s, _ := cat.Get(scope); s.Resource != "" {
		return []string{s.Resource}
	}
	return c.Audience
}
