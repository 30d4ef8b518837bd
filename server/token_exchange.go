package server

import (
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/tokens"
)

// Token type identifiers (RFC 8693 §3).
const (
	tokenTypePrefix  = "urn:ietf:params:oauth:token-type:"
	tokenTypeAccess  = tokenTypePrefix + "access_token"
	tokenTypeRefresh = tokenTypePrefix + "refresh_token"
	tokenTypeJWT     = tokenTypePrefix + "jwt"
)

// tokenExchange is a request on its way to a token that comes from another one (RFC 8693 §2.1).
type tokenExchange struct {
	subjectType, actorType string // "": no actor token came
	jwt                    bool   // a JWT is wanted, whatever the client's format is
	assertion              bool   // the subject token came as the assertion of the JWT bearer grant

	subject activeToken         // of a JWT of another issuer: a record of what the policy gives it, and no token
	foreign *assertions.Subject // of a JWT of another issuer; nil: the subject token is ours
	actor   *clients.Client     // who acts for the subject; nil: nobody, it is impersonation
}

// exchangeToken issues a token in exchange for another one (RFC 8693 §2). go-oauth2 knows no such
// grant, and is not asked.
func (s *Server) exchangeToken(x *exchange) (issuedTokens, error) {
	e, err := s.readTokenExchange(x)
	if err != nil {
		return issuedTokens{}, err
	}
	if err := s.readSubject(x, e); err != nil {
		return issuedTokens{}, err
	}
	if err := s.readActor(x, e); err != nil {
		return issuedTokens{}, err
	}
	return s.issueExchanged(x, e)
}

// issueExchanged issues the token of a subject and an actor that are known.
func (s *Server) issueExchanged(x *exchange, e *tokenExchange) (issuedTokens, error) {
	if err := s.foreignMayBeActedFor(x, e); err != nil {
		return issuedTokens{}, err
	}
	scope, err := s.exchangedScope(x, e)
	if err != nil {
		return issuedTokens{}, err
	}
	issued, err := s.mintExchanged(x, e, scope)
	if err != nil {
		return issuedTokens{}, err
	}
	if err := s.useForeign(x, e); err != nil {
		return issuedTokens{}, err
	}
	if err := s.storeIssued(x); err != nil {
		return issuedTokens{}, err
	}
	x.from = &e.subject
	return issued, nil
}

// readTokenExchange reads what needs no store: parameters and token types (RFC 8693 §2.1, §3).
func (s *Server) readTokenExchange(x *exchange) (*tokenExchange, error) {
	get := x.form.Get
	e := &tokenExchange{subjectType: get("subject_token_type"), actorType: get("actor_token_type")}
	switch {
	case x.client.Public():
		return nil, refusal(codeUnauthorizedClient, "only a client that authenticates may exchange tokens")
	case get("subject_token") == "" || e.subjectType == "":
		return nil, refusal(codeInvalidRequest, "subject_token and subject_token_type are required (RFC 8693 §2.1)")
	case (get("actor_token") == "") != (e.actorType == ""):
		return nil, refusal(codeInvalidRequest, "actor_token and actor_token_type come together (RFC 8693 §2.1)")
	}
	if err := takenType("subject_token_type", e.subjectType); err != nil {
		return nil, err
	}
	if e.actorType != "" {
		if err := takenType("actor_token_type", e.actorType); err != nil {
			return nil, err
		}
	}
	return e, s.readWanted(e, get("requested_token_type"))
}

// takenType refuses types of tokens that are not exchanged here.
func takenType(parameter, value string) error {
	switch value {
	case tokenTypeAccess, tokenTypeJWT:
		return nil
	case tokenTypeRefresh:
		return refusal(codeInvalidRequest, "a refresh token is never exchanged: %s must be %s", parameter, tokenTypeAccess)
	}
	return refusal(codeInvalidRequest, "%s must be %s or %s (RFC 8693 §3)", parameter, tokenTypeAccess, tokenTypeJWT)
}

// readWanted reads which type of token the client asks for.
func (s *Server) readWanted(e *tokenExchange, wanted string) error {
	switch wanted {
	case "", tokenTypeAccess:
		return nil
	case tokenTypeJWT:
		if e.jwt = s.cfg.Keys != nil; e.jwt {
			return nil
		}
		return refusal(codeInvalidRequest, "this server signs no JWTs: requested_token_type must be %s", tokenTypeAccess)
	}
	return refusal(codeInvalidRequest, "requested_token_type must be %s or %s (RFC 8693 §3)", tokenTypeAccess, tokenTypeJWT)
}

// issuedType is the issued_token_type of the answer (RFC 8693 §2.2.1), "" for the JWT bearer grant,
// which has none. A JWT is an access token as well, so the token_type is never N_A.
func (e *tokenExchange) issuedType() string {
	switch {
	case e.assertion:
		return ""
	case e.jwt:
		return tokenTypeJWT
	}
	return tokenTypeAccess
}

// minExchangedTTL is the shortest life of a token that is worth issuing.
const minExchangedTTL = time.Second

// exchangedEvent says in the trail from which token another one came, and who acts with it.
func (x *exchange) exchangedEvent(e *audit.Event) {
	e.Event = audit.TokenExchanged
	if from := x.record.Exchange; from.Issuer != "" {
		e.Detail = "from a JWT of " + from.Issuer
	} else {
		e.Detail = "from " + x.from.token.Name() + " of " + x.from.record.ClientID
	}
	if subject, kind := x.record.Sub(); kind == tokens.SubjectClient {
		e.Detail += " for client " + subject
	}
	if actor := x.record.Exchange.Actor; actor != "" {
		e.Detail += " actor " + actor
	}
}
