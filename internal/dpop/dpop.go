// Package dpop checks proofs of possession (DPoP, RFC 9449): who sends a request has the private
// key to which a token is, or becomes, bound.
//
//	text, err := dpop.FromHeader(r.Header)
//	proof, err := checker.Check(text, dpop.Request{Method: r.Method, URLs: []string{url}, Token: token})
//
// A check is what is cheap first, and one signature at the end. It keeps nothing: whether a proof
// was used before is for the caller to find out, by Proof.Name within Proof.Keep (RFC 9449 §11.1).
// Nonces are stateless, so that any node takes any node's.
package dpop

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// MaxBytes is how long a proof may be.
const MaxBytes = 4 << 10

// maxID is how long jti may be, in bytes.
const maxID = 256

// DefaultWindow is how far iat may be from the clock here, before and after.
const DefaultWindow = time.Minute

// Algorithms returns the values of alg that proofs may have, for metadata and challenges. Those
// that cost a stranger little and the verifier much are left out.
func Algorithms() []string {
	return []string{"ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256"}
}

// FromHeader returns the proof of a request, which is exactly one (RFC 9449 §4.3). It returns
// Missing, Several or TooLong otherwise.
func FromHeader(h http.Header) (string, error) {
	switch values := h["Dpop"]; {
	case len(values) == 0:
		return "", Missing
	case len(values) > 1:
		return "", Several
	case len(values[0]) > MaxBytes:
		return "", TooLong
	default:
		return values[0], nil
	}
}

// Checker says which proofs are good. It may be used by any number of goroutines.
type Checker struct {
	Window time.Duration    // see DefaultWindow, which 0 stands for
	Nonces *Nonces          // demanded in each proof, and judged instead of iat; nil: none is
	Now    func() time.Time // nil: time.Now
}

// Request is what a proof is held against.
type Request struct {
	Method string    // as sent: case matters (RFC 9110 §9.1)
	URLs   []string  // of which the proof names one; each as NormalURL has it
	Token  string    // the access token beside the proof; "": none, and ath is not looked at
	Key    *[32]byte // the thumbprint that the token is bound to; nil: any key will do
}

// Proof is a proof that was found good.
type Proof struct {
	Key      [32]byte // SHA-256 thumbprint of the key (RFC 7638): jkt
	ID       string   // jti
	IssuedAt time.Time
	Keep     time.Duration // how long from now its use must be remembered, clocks that differ included
	OldNonce bool          // its nonce will soon expire: send a new one (RFC 9449 §8.2)
}

// Name names the proof among used ones: a jti is unique for one key alone.
func (p *Proof) Name() [32]byte {
	var b [sha256.Size + maxID]byte
	n := copy(b[:], p.Key[:])
	return sha256.Sum256(b[:n+copy(b[n:], p.ID)])
}

// Check checks a proof in all points of RFC 9449 §4.3, but whether it was used before. The error is
// a Reason.
func (c *Checker) Check(text string, r Request) (*Proof, error) {
	now := c.now()
	u, err := jwt.Parse(text, jwt.Profile{Algorithms: Algorithms(), Types: proofTypes, MaxBytes: MaxBytes, OwnKey: true})
	if err != nil {
		return nil, reasonOf(err)
	}
	p := &Proof{Key: u.Thumbprint()}
	if r.Key != nil && *r.Key != p.Key { // before the signature: another's key costs nothing
		return nil, WrongKey
	}
	err = u.Precheck(func(claims *jwt.Claims) error { return c.fill(p, claims, r, now) })
	if err != nil {
		return nil, err
	}
	if _, err := u.ProveOwn(); err != nil {
		return nil, WrongSignature
	}
	return p, nil
}

var proofTypes = []string{"dpop+jwt"} // RFC 9449 §4.2

func (c *Checker) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// fill holds the claims against the request, and takes what the proof says.
func (c *Checker) fill(p *Proof, claims *jwt.Claims, r Request, now time.Time) error {
	if err := matches(claims, r); err != nil {
		return err
	}
	if claims.ID == "" || len(claims.ID) > maxID {
		return NoID
	}
	p.ID, p.IssuedAt = claims.ID, claims.IssuedAt
	if r.Token != "" {
		if ath, err := claims.Text("ath"); err != nil || ath != hashOf(r.Token) {
			return WrongToken
		}
	}
	return c.checkTime(p, claims, now)
}

// matches holds htm and htu against the request.
func matches(claims *jwt.Claims, r Request) error {
	if htm, err := claims.Text("htm"); err != nil || htm == "" || htm != r.Method {
		return WrongMethod
	}
	htu, err := claims.Text("htu")
	if err != nil || htu == "" {
		return WrongURL
	}
	if slices.Contains(r.URLs, htu) { // as nearly all write it
		return nil
	}
	if normal, err := NormalURL(htu); err != nil || !slices.Contains(r.URLs, normal) {
		return WrongURL
	}
	return nil
}

// checkTime holds iat, or the nonce where one is demanded, against the clock (RFC 9449 §11.1).
func (c *Checker) checkTime(p *Proof, claims *jwt.Claims, now time.Time) error {
	until := claims.IssuedAt.Add(c.window())
	nonce, err := claims.Text("nonce")
	switch {
	case claims.IssuedAt.IsZero():
		return NoTime
	case err != nil && c.Nonces == nil: // there is no nonce to send
		return Malformed
	case err != nil:
		return WrongNonce
	case c.Nonces != nil && nonce == "":
		return NoNonce
	case c.Nonces != nil:
		var ok bool
		if until, p.OldNonce, ok = c.Nonces.check(nonce, now); !ok {
			return WrongNonce
		}
	case now.After(until):
		return Expired
	case now.Before(claims.IssuedAt.Add(-c.window())):
		return NotYet
	}
	if end := claims.Expires; !end.IsZero() && now.After(end.Add(jwt.MaxSkew)) { // RFC 7519 §4.1.4
		return Expired
	}
	p.Keep = until.Sub(now) + jwt.MaxSkew
	return nil
}

func (c *Checker) window() time.Duration {
	if c.Window == 0 {
		return DefaultWindow
	}
	return c.Window
}

// hashOf is what ath says of a token (RFC 9449 §4.2).
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
