package server

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/internal/printable"
	"github.com/grantor-auth/grantor/tokens"
)

// Causes that the log has of a JWT that is not exchanged.
var (
	errNoIssuer    = errors.New("the assertion is no JWT of a trusted issuer")
	errSubjectName = errors.New("the sub of the JWT is not printable")
	errActed       = errors.New("the JWT has act: somebody acts for its subject already")
	errMayAct      = errors.New("may_act of the JWT names nobody who acts here")
)

// foreignIssuer returns the trusted issuer of a subject token that is said to be a JWT and is not
// ours (RFC 8693 §2.1); "": it is none. This server is never a trusted issuer of its own.
func (s *Server) foreignIssuer(x *exchange, e *tokenExchange) string {
	if e.subjectType != tokenTypeJWT || s.cfg.Assertions == nil {
		return ""
	}
	return s.cfg.Assertions.IssuerOf(x.form.Get("subject_token"))
}

func (s *Server) trustsIssuer(issuer string) bool {
	return s.cfg.Assertions != nil && s.cfg.Assertions.Trusts(issuer)
}

// readForeign verifies a JWT of a trusted issuer. The policy is asked first: other clients do not
// make this server fetch keys.
func (s *Server) readForeign(x *exchange, e *tokenExchange, issuer, token string) error {
	if !x.client.MayExchangeIssuer(issuer) {
		return e.refused(reasonSubjectPolicy, nil)
	}
	subject, err := s.cfg.Assertions.VerifySubject(x, token)
	if err != nil {
		return e.foreignRefused(err)
	}
	if printable.CheckName(subject.Subject) != nil {
		return e.refused(reasonSubjectInactive, errSubjectName)
	}
	if subject.Bound && !x.client.Exchange.BoundTokens {
		return e.refused(reasonBoundToken, nil)
	}
	e.foreign = subject
	e.subject.record = s.recordOfForeign(x, subject)
	return s.restsOnIssuer(x, &e.subject, issuer)
}

// foreignRefused turns a rejection into the answer about a subject token. Other errors stay.
func (e *tokenExchange) foreignRefused(err error) error {
	r, ok := errors.AsType[*assertions.Rejection](err)
	if !ok {
		return err
	}
	cause := fmt.Errorf("a JWT of a trusted issuer: %s", r.Reason)
	if r.Sentence != "" {
		return e.refusedFor(reasonSubjectInactive, cause, r.Sentence+" (RFC 7523 §3)")
	}
	return e.refused(reasonSubjectInactive, cause)
}

// recordOfForeign is what the policy lets a JWT of another issuer stand for: the client's scopes
// that the policy has too, and their resources. Scopes and claims of the JWT itself mean nothing
// here: the other issuer does not know ours.
func (s *Server) recordOfForeign(x *exchange, f *assertions.Subject) *tokens.Record {
	cat := s.cfg.Catalogue
	may := cat.Names().Filter(func(t string) bool { return cat.Permits(x.client.Scope, t) && x.client.ExchangePermits(cat, t) })
	now := s.now().Truncate(time.Second)
	return &tokens.Record{Scope: may.String(), Audience: slices.Concat(cat.Audience(may), x.client.Audience), IssuedAt: now,
		TTL: f.Expires.Sub(now), Exchange: &tokens.Exchange{Issuer: f.Issuer, Subject: f.Subject}}
}

// foreignMayBeActedFor refuses a JWT whose may_act names another party than the one that acts (RFC
// 8693 §4.4): the actor, or under impersonation the client that asks. It refuses one with act too:
// the new token would not say who acts already.
func (s *Server) foreignMayBeActedFor(x *exchange, e *tokenExchange) error {
	if e.foreign == nil {
		return nil
	}
	acting := x.client.ID
	if e.actor != nil {
		acting = e.actor.ID
	}
	switch {
	case e.foreign.Acted:
		return e.refused(reasonSubjectActor, errActed)
	case e.foreign.MayAct != nil && !s.isParty(e.foreign.MayAct, acting):
		return e.refused(reasonSubjectActor, errMayAct)
	}
	return nil
}

// isParty says whether may_act names a client of ours: by sub or client_id, and by nothing that
// this server cannot compare.
func (s *Server) isParty(mayAct []byte, id string) bool {
	m, err := jsonobject.Read(mayAct)
	if err != nil || !m.Only("sub", "client_id", "iss", "sub_type") || !m.Has("sub") && !m.Has("client_id") {
		return false
	}
	for name, want := range map[string]string{"sub": id, "client_id": id, "iss": s.cfg.Issuer, "sub_type": tokens.SubjectClient} {
		if text, err := m.Text(name); m.Has(name) && (err != nil || text != want) {
			return false
		}
	}
	return true
}

// useForeign notes the jti of a JWT of another issuer, just before the new token is stored: what is
// refused for another reason may be asked for again.
func (s *Server) useForeign(x *exchange, e *tokenExchange) error {
	if e.foreign == nil {
		return nil
	}
	if err := s.cfg.Assertions.UseSubject(x, e.foreign); err != nil {
		return e.foreignRefused(err)
	}
	return nil
}
