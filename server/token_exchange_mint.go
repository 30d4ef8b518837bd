package server

import (
	"slices"
	"time"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// mintExchanged mints a token that came from another one. It never lasts longer than that one.
func (s *Server) mintExchanged(x *exchange, e *tokenExchange, granted scopes.Set) (issuedTokens, error) {
	scope := granted.String()
	custom, err := s.claimsOfExchanged(x, e, scope)
	if err != nil {
		return issuedTokens{}, err
	}
	issued := s.now().Truncate(time.Second)
	ttl := min(s.accessTTL(x.client), e.subject.record.Left(issued))
	if ttl < minExchangedTTL {
		return issuedTokens{}, e.refused(reasonSubjectInactive, inactiveExpired)
	}
	x.record = &tokens.Record{ClientID: x.client.ID, ClientEpoch: x.client.Epoch, Scope: scope, Audience: x.audience, Claims: custom,
		IssuedAt: issued, TTL: ttl, Exchange: exchangeOfSubject(e), Confirmation: x.shown}
	subject := e.subject.record
	x.record.Subject, x.record.Username, x.record.Session, x.record.UserEpoch = subject.Subject, subject.Username, subject.Session, subject.UserEpoch
	text, err := s.mintFrom(x, e)
	return issuedTokens{access: text, scope: scope, ttl: ttl, kind: e.issuedType()}, err
}

// exchangeOfSubject notes what the new token comes from.
func exchangeOfSubject(e *tokenExchange) *tokens.Exchange {
	from := &tokens.Exchange{}
	if f := e.foreign; f != nil {
		from.Issuer, from.Subject = f.Issuer, f.Subject
	} else {
		from.Parents, from.Chain = parentsOf(e.subject), []*tokens.Record{e.subject.record}
	}
	if before := e.subject.record.Exchange; before != nil && e.foreign == nil {
		from.Chain = slices.Concat(before.Chain, from.Chain)
	}
	if e.actor != nil {
		from.Actor, from.ActorEpoch = e.actor.ID, e.actor.Epoch
	}
	return from
}

// parentsOf returns the tokens that a token exchanged from this one comes from.
func parentsOf(from activeToken) []tokens.Parent {
	own := tokens.Parent{Hash: from.token.Hash, JWT: from.token.JTI != ""}
	if before := from.record.Exchange; before != nil {
		return append(before.Parents[:len(before.Parents):len(before.Parents)], own)
	}
	return []tokens.Parent{own}
}

// mintFrom mints the text: beside the tokens of the subject's session, or as a client's token.
func (s *Server) mintFrom(x *exchange, e *tokenExchange) (text string, err error) {
	from := e.subject.token
	user := e.foreign == nil && from.Kind == tokens.UserAccess
	if !e.jwt && !s.wantsJWT(x.client) {
		if user {
			text, x.issued = s.codec.NewUserAccess(from.Tag, from.Session)
		} else {
			text, x.issued = s.codec.NewClientAccess()
		}
		return text, nil
	}
	var jti string
	if user {
		jti, x.issued = s.codec.NewUserJTI(from.Tag, from.Session)
	} else {
		jti, x.issued = s.codec.NewClientJTI()
	}
	subject, subjectType := x.record.Sub()
	a := activeToken{token: x.issued, record: x.record, client: x.client, rest: e.restingOn()}
	return s.sign(x.client, &accessClaims{subject: subject, subjectType: subjectType, jti: jti, names: s.names(a), record: x.record})
}

// claimsOfExchanged returns the custom claims of the new token: the client's, those of the subject
// token, and the hook's, of which a later one wins; and of these what the scopes release.
func (s *Server) claimsOfExchanged(x *exchange, e *tokenExchange, scope string) (string, error) {
	all := x.client.Claims.With(claims.Trusted(e.subject.record.Claims))
	if s.cfg.ClaimsHook != nil {
		q := claims.Question{ClientID: x.client.ID, Scope: scope, Grant: x.grant}
		q.Subject, q.SubjectType = e.subject.record.Sub()
		more, err := s.askHook(x, q, q.SubjectType == tokens.SubjectUser)
		if err != nil {
			return "", err
		}
		all = all.With(more)
	}
	if all.IsZero() {
		return "", nil
	}
	return s.released(all, scope)
}
