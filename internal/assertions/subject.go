package assertions

import (
	"context"
	"errors"
	"time"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// The bounds of a JWT that is exchanged.
const (
	maxSubject    = 255            // bytes of sub, as OpenID Connect Core 1.0 §2 has it
	maxSubjectTTL = 24 * time.Hour // how far exp may lie ahead: so long is a jti remembered
)

// Subject is whom a JWT of a trusted issuer speaks for (RFC 8693 §2.1).
type Subject struct {
	Issuer, Subject string
	Expires         time.Time
	Bound           bool   // to a key or certificate (RFC 7800 §3.1)
	Acted           bool   // somebody of the other issuer acts already (RFC 8693 §4.1)
	MayAct          []byte // who may act for the subject, as it was written (RFC 8693 §4.4); nil: the JWT does not say

	jti string // "": it may be exchanged again
}

// IssuerOf returns the trusted issuer that a JWT names, unverified; "" for any other text. A trust
// domain of SPIFFE is none of these: JWT-SVIDs need no iss.
func (a *Checker) IssuerOf(token string) string {
	u, err := jwt.Parse(token, a.rules)
	if err != nil || !a.Trusts(u.Issuer()) {
		return ""
	}
	return u.Issuer()
}

// Trusts says whether an iss is that of a trusted issuer.
func (a *Checker) Trusts(issuer string) bool { return a.issuers[issuer] != nil }

// VerifySubject verifies a JWT of a trusted issuer that a client exchanges (RFC 8693 §2.1), or that
// is an authorization grant (RFC 7523 §2.1, §3). A *Rejection: it proves nothing, and it has a
// Sentence where the signature was good; ErrKeysUnavailable, or any other error: that is not known.
func (a *Checker) VerifySubject(ctx context.Context, token string) (*Subject, error) {
	u, err := jwt.Parse(token, a.rules)
	if err != nil {
		return nil, &Rejection{Reason: reasonOf(err)}
	}
	p := &verification{v: a, u: u}
	keys := a.issuers[u.Issuer()]
	switch {
	case keys == nil:
		return nil, p.refuse(ReasonIssuer)
	case !p.typed("", "jwt", "at+jwt", "authorization-grant+jwt"): // RFC 9068, of that issuer: ours have another iss; rfc7523bis
		return nil, p.refuse(ReasonType)
	}
	claims, err := p.signedByPlatform(ctx, &Registered{}, keys)
	if err != nil {
		return nil, err
	}
	if err := p.subjectHolds(claims); err != nil {
		return nil, toldOfSubject(err)
	}
	return &Subject{Issuer: claims.Issuer, Subject: claims.Subject, Expires: claims.Expires, jti: claims.ID,
		Bound: claims.Member("cnf") != nil, Acted: claims.Member("act") != nil, MayAct: claims.Member("may_act")}, nil
}

// subjectHolds demands a JWT that names a subject, is for this server alone, and has not expired
// (RFC 7523 §3 items 2 to 5).
func (p *verification) subjectHolds(c *jwt.Claims) error {
	if c.Subject == "" || len(c.Subject) > maxSubject {
		return p.refuse(ReasonSubject)
	}
	if err := c.CheckOnlyAudience(p.v.cfg.Issuer, p.v.cfg.TokenEndpoint); err != nil {
		return p.refusedBy(err)
	}
	if err := p.inTime(c); err != nil {
		return err
	}
	if c.Expires.After(p.v.cfg.Now().Add(maxSubjectTTL)) {
		return p.refuse(ReasonTooLong)
	}
	if len(c.ID) > maxJTI {
		return p.refuse(ReasonNoJTI)
	}
	return nil
}

// UseSubject notes that a JWT is exchanged. One with a jti is exchanged once on all nodes (RFC 7523
// §3 item 7); a repetition gets a *Rejection.
func (a *Checker) UseSubject(ctx context.Context, s *Subject) error {
	if s.jti == "" {
		return nil
	}
	p := &verification{v: a, id: "\x00" + s.Issuer} // no client id begins so
	return toldOfSubject(p.once(ctx, &jwt.Claims{ID: s.jti, Expires: s.Expires}))
}

// toldOfSubject gives the rejection of a JWT whose signature was good its sentence (RFC 7521
// §4.1.1).
func toldOfSubject(err error) error {
	if r, ok := errors.AsType[*Rejection](err); ok {
		r.Sentence = sentenceOfSubject(r.Reason)
	}
	return err
}

func sentenceOfSubject(r RejectionReason) string {
	switch r {
	case ReasonSubject:
		return "the JWT must have a sub of 1 to 255 bytes"
	case ReasonAudience:
		return "the aud of the JWT must be the issuer of this server or its token endpoint, and nothing else"
	case ReasonExpired:
		return "the JWT has expired: get a new one"
	case ReasonNoExpiry:
		return "the JWT must have exp"
	case ReasonTooLong:
		return "the exp of the JWT must be at most 24 hours ahead"
	case ReasonNotYet:
		return "the nbf or iat of the JWT is in the future"
	case ReasonNoJTI:
		return "the jti of the JWT must have at most 255 bytes"
	case ReasonReplayed:
		return "the JWT was used before, and one with a jti works once: get a new one"
	}
	return ""
}
