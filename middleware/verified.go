package middleware

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// verifiedToken is a JWT whose signature was good, and by which key. Its times and audience are
// judged at each use.
type verifiedToken struct {
	token *Token
	proof jwt.Proof
	names []uint64 // under which the revocation feed may end the token
	bytes int      // of the text
}

// verify returns a good token, or a jwt.TokenError, or the error of keys that cannot be had.
func (v *JWT) verify(ctx context.Context, text string) (verifiedToken, error) {
	switch {
	case len(text) > MaxTokenBytes:
		return verifiedToken{}, jwt.TooLong
	case v.verified == nil:
		return v.verifyAnew(ctx, text)
	}
	k := hashOf(text)
	if found, err := v.recall(ctx, k); found.token != nil || err != nil {
		return found, err
	}
	return v.flights.do(ctx, k, func() (verifiedToken, error) {
		found, err := v.verifyAnew(ctx, text)
		if err == nil {
			found.token.compact()
			v.remember(k, found)
		}
		return found, err
	})
}

// followed asks the revocation feed about a token whose signature is good.
func (v *JWT) followed(ctx context.Context, text string, found verifiedToken) (*Token, error) {
	f := v.cfg.Follow
	if f == nil {
		return found.token, nil
	}
	err := f.checkJWT(found.names, found.token.IssuedAt)
	if err == nil {
		f.hits.add(text[len(text)-1])
		return found.token, nil
	}
	if v.cfg.Ask != nil {
		asked, err := v.cfg.Ask.Verify(ctx, text)
		if err != nil {
			return nil, err
		}
		return both(found.token, asked)
	}
	f.asks.Add(1)
	switch {
	case err == errStale: //nolint:errorlint // checkJWT returns it as it is
		return nil, fmt.Errorf("jwt: %w", err)
	case err == errHorizon && found.token.IssuedAt.Unix() > f.issuedAfter.Load(): //nolint:errorlint // likewise
		return found.token, nil
	}
	return nil, fmt.Errorf("%w: %w", ErrInvalidToken, err)
}

// hashOf is SHA-256. Tokens of the usual length are hashed without allocating.
func hashOf(text string) cacheKey {
	var usual [1 << 10]byte
	if len(text) > len(usual) {
		return sha256.Sum256([]byte(text))
	}
	return sha256.Sum256(usual[:copy(usual[:], text)])
}

// recall returns a token that was verified before. It returns neither token nor error when the
// token must be verified anew, as when its key has left the key set.
func (v *JWT) recall(ctx context.Context, k cacheKey) (none verifiedToken, err error) {
	now := v.cfg.Now()
	found, ok := v.verified.get(k, now)
	if !ok {
		return none, nil
	}
	proof, err := found.proof.Renew(ctx, v.keys, now)
	switch {
	case err == jwt.NoKey: //nolint:errorlint // Renew returns it as it is
		v.verified.drop(k)
		return none, nil
	case err != nil:
		return none, err
	case proof != found.proof:
		found.proof = proof
		v.remember(k, found)
	}
	if err := v.check(found.token, now); err != nil {
		return none, err
	}
	return found, nil
}

// remember keeps a token until its exp. A refusal is never kept: garbage evicts nothing, and a
// token whose nbf comes passes then.
func (v *JWT) remember(k cacheKey, found verifiedToken) {
	v.verified.put(k, found, found.token.ExpiresAt, v.cfg.Now(), 1+found.bytes/1024)
}

// verifyAnew checks a token from its form to its signature. The signature costs most, so it comes
// last: what is refused for another reason needs none and causes no fetch of keys.
func (v *JWT) verifyAnew(ctx context.Context, text string) (found verifiedToken, err error) {
	u, err := jwt.Parse(text, v.rules)
	if err != nil {
		return found, err
	}
	if u.Issuer() != v.cfg.Issuer {
		return found, jwt.BadIssuer
	}
	var t *Token
	err = u.Precheck(func(c *jwt.Claims) (err error) {
		if t, err = accessToken(c); err == nil {
			err = v.check(t, v.cfg.Now())
		}
		return err
	})
	if err != nil {
		return found, err
	}
	proof, err := u.Prove(ctx, v.keys)
	if err != nil {
		return found, err
	}
	found = verifiedToken{token: t, proof: proof, bytes: len(text)}
	if v.cfg.Follow != nil {
		found.names = v.cfg.Follow.namesOfJWT(t, proof.KeyID())
	}
	return found, nil
}

// check holds audience and times against now (RFC 9068 §4).
func (v *JWT) check(t *Token, now time.Time) error {
	if !t.HasAudience(v.cfg.Audience) {
		return jwt.BadAudience
	}
	c := jwt.Claims{Expires: t.ExpiresAt, NotBefore: t.NotBefore, IssuedAt: t.IssuedAt}
	if err := c.CheckTimes(now, v.cfg.Leeway); err != nil {
		return err
	}
	if !now.Before(c.Expires) {
		return jwt.Expired
	}
	return nil
}
