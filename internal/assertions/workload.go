package assertions

import (
	"context"
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// workload is a platform's JWT for the workload that runs on it (RFC 7523 §3 with an issuer other
// than the client). It lives for minutes to an hour and is presented again, so jti and a short
// life are not asked for (docs/conformance.md CJ-02, CJ-05 and CJ-08 do not apply). The client
// says by client_id which registration names the issuer and the subject.
func (p *proof) workload(ctx context.Context, keys jwt.Source, find Find) error {
	if !p.typed("", "jwt", "jose", "client-authentication+jwt") { // JOSE: SPIFFE JWT-SVID §2.3
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
	claims, err := p.signed(ctx, &reg, keys)
	if err != nil {
		err = p.refusedBy(err)
		if _, refused := errors.AsType[*Rejection](err); refused || ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%w: %w", ErrKeysUnavailable, err)
	}
	if err := claims.CheckAudience(p.v.cfg.Issuer); err != nil {
		return p.refusedBy(err)
	}
	return p.inTime(claims)
}

func (p *proof) inTime(c *jwt.Claims) error {
	if err := c.CheckTimes(p.v.cfg.Now(), skew); err != nil {
		return p.refusedBy(err)
	}
	return nil
}
