package jwt

import (
	"slices"
	"time"
)

// MaxSkew is how far the clocks of two servers may differ.
const MaxSkew = time.Minute

// Claims is what a token says (RFC 7519 §4.1). A zero value means that the token does not say it.
type Claims struct {
	Issuer    string
	Subject   string
	Audience  []string
	ID        string // jti
	Expires   time.Time
	NotBefore time.Time
	IssuedAt  time.Time

	all object
}

// parseClaims reads a payload. A registered claim of the wrong type makes the token malformed, null included.
func parseClaims(text []byte) (*Claims, error) {
	o, err := parseObject(text)
	if err != nil {
		return nil, err
	}
	c := &Claims{all: o}
	if err := o.readTexts(named{"iss", &c.Issuer}, named{"sub", &c.Subject}, named{"jti", &c.ID}); err != nil {
		return nil, err
	}
	if c.Expires, err = o.date("exp"); err != nil {
		return nil, err
	}
	if c.NotBefore, err = o.date("nbf"); err != nil {
		return nil, err
	}
	if c.IssuedAt, err = o.date("iat"); err != nil {
		return nil, err
	}
	if c.Audience, err = o.texts("aud"); err != nil {
		return nil, err
	}
	return c, nil
}

// Text returns another claim that is a string; "" when it is absent, Malformed when it is something else.
func (c *Claims) Text(name string) (string, error) { return c.all.text(name) }

// CheckIssuer demands this iss, compared byte by byte (RFC 7519 §4.1.1).
func (c *Claims) CheckIssuer(issuer string) error {
	if issuer == "" || c.Issuer != issuer {
		return BadIssuer
	}
	return nil
}

// CheckAudience demands that aud names audience, perhaps among others (RFC 7519 §4.1.3).
func (c *Claims) CheckAudience(audience string) error {
	if audience == "" || !slices.Contains(c.Audience, audience) {
		return BadAudience
	}
	return nil
}

// CheckOnlyAudience demands that aud names something, nothing that is not allowed, and nothing twice: a token that
// is also meant for somebody else can be presented by them (draft-ietf-oauth-rfc7523bis, CVE-2025-27370).
func (c *Claims) CheckOnlyAudience(allowed ...string) error {
	for i, a := range c.Audience {
		if a == "" || !slices.Contains(allowed, a) || slices.Contains(c.Audience[:i], a) {
			return BadAudience
		}
	}
	if len(c.Audience) == 0 {
		return BadAudience
	}
	return nil
}

// CheckTimes demands exp and holds exp, nbf and iat against now, with skew for clocks that differ, at most MaxSkew.
func (c *Claims) CheckTimes(now time.Time, skew time.Duration) error {
	skew = min(max(skew, 0), MaxSkew)
	switch latest := now.Add(skew); {
	case c.Expires.IsZero():
		return NoExpiry
	case !now.Before(c.Expires.Add(skew)):
		return Expired
	case latest.Before(c.NotBefore), latest.Before(c.IssuedAt):
		return NotYet
	}
	return nil
}
