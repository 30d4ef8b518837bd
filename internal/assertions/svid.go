package assertions

import (
	"context"
	"strings"

	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/internal/spiffe"
)

// TypeSVID is the client_assertion_type that says that client_assertion is a SPIFFE JWT-SVID
// (draft-ietf-oauth-spiffe-client-auth §3.1).
const TypeSVID = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"

// VerifySVID is Verify for the client_assertion_type TypeSVID: the trust domain stands in sub, and
// iss says nothing (draft-ietf-oauth-spiffe-client-auth §8.1). clientID "": the client's id is the
// SPIFFE ID itself.
func (a *Checker) VerifySVID(ctx context.Context, assertion, clientID string, find Find) (Proof, error) {
	u, err := jwt.Parse(assertion, a.rules)
	if err != nil {
		return Proof{}, &Rejection{ID: clientID, Reason: reasonOf(err)}
	}
	p := &verification{v: a, u: u, id: clientID}
	if err := p.svid(ctx, find); err != nil {
		return Proof{}, err
	}
	return Proof{p.id, p.credential}, nil
}

// TrustsDomain says whether JWT-SVIDs of any trust domain are taken.
func (a *Checker) TrustsDomain() bool { return len(a.domains) > 0 }

// isSVID says whether a JWT of the type of RFC 7523 is a JWT-SVID of a trust domain: it has no iss,
// and sub is a SPIFFE ID. Software that cannot send TypeSVID presents them so (deviation from RFC
// 7523 §3 item 1).
func (a *Checker) isSVID(u *jwt.Unverified) bool {
	return a.TrustsDomain() && u.Issuer() == "" && strings.HasPrefix(u.Subject(), spiffe.Scheme)
}

// svid verifies a JWT-SVID by the keys of the trust domain in its sub, and holds it against the
// registration. It is a bearer token without jti, which its agent hands out again and again, so it
// works until exp, which may not lie far ahead (SPIFFE JWT-SVID §6.1).
func (p *verification) svid(ctx context.Context, find Find) error {
	if !p.typed("", "jwt", "jose") { // SPIFFE JWT-SVID §2.3
		return p.refuse(ReasonType)
	}
	if alg := p.u.Header().Algorithm; alg == "EdDSA" || alg == "Ed25519" { // SPIFFE JWT-SVID §2.1
		return p.refuse(ReasonAlgorithm)
	}
	id, err := spiffe.Parse(p.u.Subject())
	if err != nil || id.Path == "" {
		return p.refuse(ReasonSubject)
	}
	keys, ok := p.v.domains[id.Authority()]
	if !ok {
		return p.refuse(ReasonIssuer)
	}
	if p.id == "" {
		p.id = p.u.Subject()
	}
	return p.ofDomain(ctx, id.Authority(), keys, find)
}

// ofDomain verifies a JWT-SVID of a trust domain that is trusted.
func (p *verification) ofDomain(ctx context.Context, domain string, keys jwt.Source, find Find) error {
	reg, err := p.find(ctx, find)
	if err != nil {
		return err
	}
	if reg.Issuer != domain || reg.Subject != p.u.Subject() {
		return p.refuseLate(ReasonSubject)
	}
	claims, err := p.signedByPlatform(ctx, &reg, keys)
	if err != nil {
		return err
	}
	// draft-ietf-oauth-spiffe-client-auth §3.1 item 3: our issuer alone, never the token endpoint.
	if err := claims.CheckOnlyAudience(p.v.cfg.Issuer); err != nil {
		return p.refusedBy(err)
	}
	if err := p.inTime(claims); err != nil {
		return err
	}
	return p.soon(claims)
}
