package assertions

import (
	"context"
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// workload verifies a platform's JWT for its workload (RFC 7523 §3 with an issuer other than the
// client). Such a JWT is valid up to an hour and is presented again, so no jti is required
// (docs/evidence/conformance.md CJ-02, CJ-05 and CJ-08 do not apply). client_id names the
// registration.
func (p *verification) workload(ctx context.Context, keys jwt.Source, find Find) error {
	if !p.typed("", "jwt", "jose", "client-authentication+jwt") { // JOSE: SPIFFE JWT-SVID §2.3, of an issuer that says iss
		return p.refuse(ReasonType)
	}
	if p.id == "" {
		return p.refuse(ReasonClientID)
	}
	reg, err := p.find(ctx, find)
	if err != nil {
		return err
	}
	if reg.Issuer != p.u.Issuer() || reg.Subject == "" || reg.Subject != p.u.Subject() {
		return p.refuseLate(ReasonSubject)
	}
	claims, err := p.signedByPlatform(ctx, &reg, keys)
	if err != nil {
		return err
	}
	if err := claims.CheckAudience(p.v.cfg.Issuer); err != nil {
		return p.refusedBy(err)
	}
	return p.inTime(claims)
}

// signedByPlatform is signed for keys that the operator trusts: that they cannot be fetched says
// nothing of the client.
func (p *verification) signedByPlatform(ctx context.Context, reg *Registered, keys jwt.Source) (*jwt.Claims, error) {
	claims, err := p.signed(ctx, reg, keys)
	if err == nil {
		p.credential = "workload:" + reg.Issuer + " " + reg.Subject // the platform's key says little
		return claims, nil
	}
	err = p.refusedBy(err)
	if _, refused := errors.AsType[*Rejection](err); refused || ctx.Err() != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", ErrKeysUnavailable, err)
}

func (p *verification) inTime(c *jwt.Claims) error {
	if err := c.CheckTimes(p.v.cfg.Now(), skew); err != nil {
		return p.refusedBy(err)
	}
	return nil
}
