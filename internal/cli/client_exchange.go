package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/grantor-auth/grantor/clients"
)

// exchangeChange is what flags say of a client's exchange policy (RFC 8693). Only flags that were
// given change anything.
type exchangeChange struct {
	said clients.ExchangePolicy
	none bool // --no-exchange
}

// exchangeFlags are the flags, with what each copies from one policy to another.
func exchangeFlags() map[string]func(from, to *clients.ExchangePolicy) {
	type policy = clients.ExchangePolicy
	return map[string]func(from, to *policy){
		"exchange-subject-client": func(from, to *policy) { to.SubjectClients = said(from.SubjectClients) },
		"exchange-subject-issuer": func(from, to *policy) { to.SubjectIssuers = said(from.SubjectIssuers) },
		"exchange-subject-type":   func(from, to *policy) { to.SubjectTypes = said(from.SubjectTypes) },
		"exchange-audience":       func(from, to *policy) { to.Audience = said(from.Audience) },
		"exchange-scope":          func(from, to *policy) { to.Scope = from.Scope },
		"exchange-mode":           func(from, to *policy) { to.Mode = from.Mode },
		"exchange-actor":          func(from, to *policy) { to.Actors = said(from.Actors) },
		"exchange-max-depth":      func(from, to *policy) { to.MaxDepth = from.MaxDepth },
		"exchange-bound-tokens":   func(from, to *policy) { to.BoundTokens = from.BoundTokens },
	}
}

// said is a list of a flag; one empty text is none.
func said(list []string) []string {
	if len(list) == 1 && list[0] == "" {
		return nil
	}
	return list
}

func (e *exchangeChange) flags(f *pflag.FlagSet) {
	p := &e.said
	f.StringSliceVar(&p.SubjectClients, "exchange-subject-client", nil,
		"with the grant type token exchange: a client whose tokens it may exchange; may be repeated; \"*\": every client's")
	f.StringSliceVar(&p.SubjectIssuers, "exchange-subject-issuer", nil,
		"an issuer of [[trusted_issuers]] whose JWTs it may exchange; may be repeated; needs --exchange-scope")
	f.StringSliceVar(&p.SubjectTypes, "exchange-subject-type", nil, "whose tokens of these clients: user, client, external; absent: all")
	f.StringSliceVar(&p.Audience, "exchange-audience", nil, "a resource that new tokens may name; may be repeated; absent: those of the token")
	f.StringVar(&p.Scope, "exchange-scope", "", "the most that new tokens may carry; absent: what the client may ask for")
	f.StringVar(&p.Mode, "exchange-mode", "", "delegation: new tokens say who acts; impersonation: none does; either: by the request")
	f.StringSliceVar(&p.Actors, "exchange-actor", nil, "another client whose token may be the actor_token; may be repeated")
	f.IntVar(&p.MaxDepth, "exchange-max-depth", 0, "how many exchanges may lead to its tokens, at most 4; 0: 1")
	f.BoolVar(&p.BoundTokens, "exchange-bound-tokens", false, "it may exchange tokens that are bound to another's key or certificate")
	f.BoolVar(&e.none, "no-exchange", false, "take the exchange policy away")
}

// given says whether a flag of the policy was given.
func (e *exchangeChange) given(c *cobra.Command) bool {
	if c.Flags().Changed("no-exchange") {
		return true
	}
	for name := range exchangeFlags() {
		if c.Flags().Changed(name) {
			return true
		}
	}
	return false
}

// of returns a policy with what the flags say.
func (e *exchangeChange) of(c *cobra.Command, held *clients.ExchangePolicy) *clients.ExchangePolicy {
	if e.none {
		return nil
	}
	p := clients.ExchangePolicy{}
	if held != nil {
		p = *held
	}
	for name, take := range exchangeFlags() {
		if c.Flags().Changed(name) {
			take(&e.said, &p)
		}
	}
	return &p
}
