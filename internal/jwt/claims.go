package jwt

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/grantor-auth/grantor/internal/jsonobject"
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

	all jsonobject.Members
}

// parseClaims reads a payload. A registered claim of the wrong type makes the token malformed,
// null included.
func parseClaims(text []byte) (*Claims, error) {
	c := &Claims{}
	if c.read(text) != nil {
		return nil, Malformed
	}
	return c, nil
}

func (c *Claims) read(text []byte) (err error) {
	if c.all, err = jsonobject.Read(text); err != nil {
		return err
	}
	if c.Issuer, err = c.all.Text("iss"); err != nil {
		return err
	}
	if c.Subject, err = c.all.Text("sub"); err != nil {
		return err
	}
	if c.ID, err = c.all.Text("jti"); err != nil {
		return err
	}
	if c.Expires, err = c.date("exp"); err != nil {
		return err
	}
	if c.NotBefore, err = c.date("nbf"); err != nil {
		return err
	}
	if c.IssuedAt, err = c.date("iat"); err != nil {
		return err
	}
	c.Audience, err = c.all.Texts("aud")
	return err
}

// maxDate is the end of the year 9999, in seconds since 1970.
const maxDate = 253402300799

// date returns a claim that is a NumericDate (RFC 7519 §2); zero when it is absent.
func (c *Claims) date(name string) (time.Time, error) {
	value, ok := c.all.Get(name)
	if !ok {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseFloat(string(value), 64) // a number, since the text is valid JSON
	if err != nil || value[0] == '"' || seconds < 0 || seconds > maxDate {
		return time.Time{}, Malformed
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)), nil
}

// Others returns the claims whose names are not known.
func (c *Claims) Others(known func(name []byte) bool) jsonobject.Members { return c.all.Others(known) }

// Text returns another claim that is a string; "" when it is absent, Malformed when it has
// another type.
func (c *Claims) Text(name string) (string, error) {
	text, err := c.all.Text(name)
	if err != nil {
		return "", Malformed
	}
	return text, nil
}

// Member returns a claim as it was written; nil when it is absent.
func (c *Claims) Member(name string) []byte {
	value, _ := c.all.Get(name)
	return value
}

// Texts returns another claim that is a list of strings, or one; nil when it is absent, Malformed
// when it has another type.
func (c *Claims) Texts(name string) ([]string, error) {
	list, err := c.all.Texts(name)
	if err != nil {
		return nil, Malformed
	}
	return list, nil
}

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

// CheckOnlyAudience demands that aud names something, nothing that is not allowed, and nothing
// twice: a token that is also meant for somebody else can be presented by them
// (draft-ietf-oauth-rfc7523bis, CVE-2025-27370).
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

// CheckTimes demands exp and holds exp, nbf and iat against now, with skew for clocks that
// differ, at most MaxSkew.
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
