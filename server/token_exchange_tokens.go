package server

import (
	"errors"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/tokens"
)

// Why a token is not exchanged.
const (
	reasonSubjectActor    Reason = "subject_token_actor"
	reasonSubjectInactive Reason = "subject_token_inactive"
	reasonSubjectPolicy   Reason = "subject_token_not_allowed"
	reasonExchangeDepth   Reason = "exchange_depth"
	reasonExchangeLoop    Reason = "exchange_loop"
	reasonBoundToken      Reason = "bound_token"
	reasonActorInactive   Reason = "actor_token_inactive"
	reasonActorPolicy     Reason = "actor_token_not_allowed"
)

// subjectRefused answers alike whether a subject token is not active or not for this client to
// exchange: who holds a stolen token must not learn that it works (RFC 8693 §2.2.2).
func subjectRefused(reason Reason, cause error) error {
	return &Error{Code: codeInvalidRequest, Reason: reason, Err: cause,
		Description: "subject_token is not active, or this client may not exchange it (RFC 8693 §2.2.2)"}
}

// refused is subjectRefused, or what RFC 7523 §3.1 has for an assertion: whose issuer the client
// may use and what is wrong with the JWT is not told before its signature was found good.
func (e *tokenExchange) refused(reason Reason, cause error) error {
	return e.refusedFor(reason, cause, "the assertion is no valid JWT of an issuer that this client may use, or its subject may not be acted for (RFC 7523 §3.1)")
}

// refusedFor is refused with a sentence for an assertion.
func (e *tokenExchange) refusedFor(reason Reason, cause error, sentence string) error {
	if !e.assertion {
		return subjectRefused(reason, cause)
	}
	return &Error{Code: codeInvalidGrant, Reason: reason, Err: cause, Description: sentence}
}

// actorRefused is subjectRefused for an actor token.
func actorRefused(reason Reason, cause error) error {
	return &Error{Code: codeInvalidRequest, Reason: reason, Err: cause,
		Description: "actor_token is not active, or this client may not act through it (RFC 8693 §2.2.2)"}
}

// readSubject finds the subject token, and whether the client's policy allows its exchange.
func (s *Server) readSubject(x *exchange, e *tokenExchange) error {
	if issuer := s.foreignIssuer(x, e); issuer != "" {
		return s.readForeign(x, e, issuer, x.form.Get("subject_token"))
	}
	found, err := s.activeParameter(x, "subject_token", e.subjectType)
	if errors.Is(err, errInactive) {
		return subjectRefused(reasonSubjectInactive, err)
	}
	if err != nil {
		return err
	}
	e.subject = found
	r := found.record
	depth := r.Exchange.Depth() + 1
	_, subjectType := r.Sub()
	switch {
	case !x.client.MayExchange(r.ClientID, subjectType, 1):
		return subjectRefused(reasonSubjectPolicy, nil)
	case !mayExchangeBound(x.client, r):
		return subjectRefused(reasonBoundToken, nil)
	case !x.client.MayExchange(r.ClientID, subjectType, depth) || len(parentsOf(found)) > tokens.MaxParents:
		return subjectRefused(reasonExchangeDepth, nil)
	case hasExchanged(x.client, r):
		return subjectRefused(reasonExchangeLoop, nil)
	}
	return nil
}

// activeParameter returns the active access token that a parameter holds. errInactive: there is
// none. It never is a refresh token or an API key.
func (s *Server) activeParameter(x *exchange, parameter, said string) (activeToken, error) {
	p, err := s.identify(x, x.form.Get(parameter))
	switch {
	case err == nil && p.token.Kind == tokens.Refresh:
		return activeToken{}, refusal(codeInvalidRequest, "a refresh token is never exchanged: %s must be an access token", parameter)
	case err == nil && p.token.Kind == tokens.ClientKey:
		return activeToken{}, refusal(codeInvalidRequest, "an API key is never exchanged: %s must be an access token", parameter)
	case err == nil && said == tokenTypeJWT && p.jwt == "":
		return activeToken{}, refusal(codeInvalidRequest, "%s is no JWT, as %s_type says", parameter, parameter)
	}
	return s.lookUp(x, p, err)
}

// hasExchanged says whether a client exchanged a token that led to r: the chain would be a loop.
func hasExchanged(c *clients.Client, r *tokens.Record) bool {
	if r.Exchange == nil {
		return false
	}
	for _, one := range append(r.Exchange.Chain[:len(r.Exchange.Chain):len(r.Exchange.Chain)], r) {
		if one.Exchange != nil && one.ClientID == c.ID {
			return true
		}
	}
	return false
}

// mayExchangeBound says whether a client with a policy may exchange a token that is bound to a key
// or a certificate. The client does not prove these, so its policy must allow it: whoever stole
// such a token could do nothing with it otherwise.
func mayExchangeBound(c *clients.Client, r *tokens.Record) bool {
	return r.Confirmation.IsZero() || c.Exchange.BoundTokens
}

// readActor finds out who acts for the subject (RFC 8693 §1.1): the client of the actor token, or
// the client that asks, or nobody, as the policy says.
func (s *Server) readActor(x *exchange, e *tokenExchange) error {
	switch {
	case e.actorType == "" && x.client.MayImpersonate():
		return nil
	case e.actorType == "":
		e.actor = x.client
		return nil
	case x.client.Exchange.Mode == clients.ExchangeImpersonation:
		return refusal(codeInvalidRequest, "this client may impersonate alone: send no actor_token (RFC 8693 §1.1)")
	}
	found, err := s.activeParameter(x, "actor_token", e.actorType)
	switch {
	case errors.Is(err, errInactive):
		return actorRefused(reasonActorInactive, err)
	case err != nil:
		return err
	case !mayExchangeBound(x.client, found.record):
		return actorRefused(reasonBoundToken, nil)
	case found.token.Kind != tokens.ClientAccess || found.record.Exchange != nil || !x.client.MayActThrough(found.client.ID):
		return actorRefused(reasonActorPolicy, nil)
	}
	e.actor = found.client
	return nil
}
