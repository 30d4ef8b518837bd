package assertions

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// privateKey is private_key_jwt: the client signs for itself (RFC 7523 §3; OpenID Connect Core
// 1.0 §9).
func (p *verification) privateKey(ctx context.Context, find Find) error {
	if !p.typed("", "jwt", "client-authentication+jwt") {
		return p.refuse(ReasonType)
	}
	if err := p.itself(); err != nil {
		return err
	}
	reg, err := p.find(ctx, find)
	if err != nil {
		return err
	}
	keys, err := p.keysOf(&reg)
	if err != nil {
		return err
	}
	claims, err := p.signed(ctx, &reg, keys)
	if err != nil {
		return p.notVerified(ctx, err)
	}
	if err := p.fresh(claims, &reg); err != nil {
		return err
	}
	return p.once(ctx, claims)
}

// itself demands iss = sub, and that client_id says the same if it is sent (RFC 7523 §3, RFC 7521
// §4.2).
func (p *verification) itself() error {
	sub := p.u.Subject()
	switch {
	case sub == "" || p.u.Issuer() != sub:
		return p.refuse(ReasonIssuer)
	case p.id != "" && p.id != sub:
		return p.refuse(ReasonClientID)
	}
	p.id = sub
	return nil
}

// keysOf returns the keys that the client registered (RFC 7591 §2: jwks or jwks_uri).
func (p *verification) keysOf(reg *Registered) (jwt.Source, error) {
	switch {
	case reg.Keys != nil:
		return reg.Keys, nil
	case reg.JWKSURI == "":
		return nil, p.refuseLate(ReasonNoKeys)
	}
	keys, err := p.v.KeysAt(reg.JWKSURI)
	if err != nil {
		p.v.spend(p.u)
		return nil, &Rejection{ID: p.id, Reason: ReasonKeysUnavailable, Err: err}
	}
	return keys, nil
}

// KeysAt returns the keys that a client publishes at a URL. They are fetched when they are needed.
func (a *Checker) KeysAt(uri string) (jwt.Source, error) { return a.cfg.Remote.Remote(uri) }

// notVerified refuses. A client whose own jwks_uri fails is refused like any other: the URL is the
// client's responsibility.
func (p *verification) notVerified(ctx context.Context, err error) error {
	err = p.refusedBy(err)
	var refusal *Rejection
	if errors.As(err, &refusal) || errors.Is(err, jwt.ErrCrowded) || ctx.Err() != nil {
		return err
	}
	p.v.spend(p.u)
	return &Rejection{ID: p.id, Reason: ReasonKeysUnavailable, Err: err}
}

// fresh demands an assertion that is for this server alone, and not expired (RFC 7523 §3 items 3 to
// 6; draft-ietf-oauth-rfc7523bis).
func (p *verification) fresh(c *jwt.Claims, reg *Registered) error {
	audiences := []string{p.v.cfg.Issuer}
	if reg.AcceptTokenEndpointAudience && p.v.cfg.TokenEndpoint != "" {
		audiences = append(audiences, p.v.cfg.TokenEndpoint)
	}
	if err := c.CheckOnlyAudience(audiences...); err != nil {
		return p.refusedBy(err)
	}
	if err := p.inTime(c); err != nil {
		return err
	}
	if err := p.soon(c); err != nil {
		return err
	}
	if c.ID == "" || len(c.ID) > maxJTI {
		return p.refuse(ReasonNoJTI)
	}
	return nil
}

// soon bounds how far exp lies ahead.
func (p *verification) soon(c *jwt.Claims) error {
	if c.Expires.After(p.v.cfg.Now().Add(p.v.cfg.MaxTTL + skew)) {
		return &Rejection{ID: p.id, Reason: ReasonTooLong, // the signature is good: the client may learn the reason
			Sentence: fmt.Sprintf("the exp of the assertion is more than %s ahead", p.v.cfg.MaxTTL)}
	}
	return nil
}

// once accepts a jti once on all nodes, until the assertion has expired on each (RFC 7523 §3 item
// 7).
func (p *verification) once(ctx context.Context, c *jwt.Claims) error {
	ttl := c.Expires.Add(skew + clockGap).Sub(p.v.cfg.Now())
	first, err := p.v.cfg.Once(ctx, onceKey(p.id, c.ID), ttl.Truncate(time.Second)+time.Second)
	switch {
	case err != nil:
		return err
	case !first:
		return p.refuse(ReasonReplayed)
	}
	return nil
}

// onceKey names a client's jti: of fixed length, and no two pairs share one.
func onceKey(id, jti string) string {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(id))))
	h.Write([]byte(id))
	h.Write([]byte(jti))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
