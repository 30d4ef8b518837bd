package jwt

import (
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantor-auth/grantor/internal/jws"
)

// Profile say what a token may look like.
type Profile struct {
	Algorithms []string         // allowed values of alg (RFC 8725 §3.1); none given: every token is refused
	Types      []string         // allowed values of typ, "" for none (RFC 8725 §3.11); nil: typ is not looked at
	MaxBytes   int              // 0: 8 kB
	OwnKey     bool             // it is a proof of possession, which brings its key in jwk, see ProveOwn
	Now        func() time.Time // nil: time.Now
}

// defaultMaxBytes is how long a token may be.
const defaultMaxBytes = 8 << 10

// Unverified is a token of good form whose signature is not verified. It may choose which keys are
// asked, and nothing more.
type Unverified struct {
	header    jws.Header
	input     string // what was signed
	signature []byte
	claims    *Claims
	own       ownKey // with Profile.OwnKey
	now       func() time.Time
}

// Header returns the header.
func (u *Unverified) Header() jws.Header { return u.header }

// Issuer returns iss as the token has it, unverified.
func (u *Unverified) Issuer() string { return u.claims.Issuer }

// Subject returns sub as the token has it, unverified.
func (u *Unverified) Subject() string { return u.claims.Subject }

// Parse takes a token apart and refuses what no signature could make good. It does no
// cryptography. Errors are TokenErrors.
func Parse(token string, profile Profile) (*Unverified, error) {
	if profile.MaxBytes == 0 {
		profile.MaxBytes = defaultMaxBytes
	}
	if profile.Now == nil {
		profile.Now = time.Now
	}
	if len(token) > profile.MaxBytes {
		return nil, TooLong
	}
	return parse(token, profile)
}

func parse(token string, profile Profile) (*Unverified, error) {
	parts, err := jws.Parse(token)
	if err != nil {
		return nil, Malformed
	}
	u := &Unverified{header: parts.Header, input: token[:strings.LastIndexByte(token, '.')], now: profile.Now}
	if err := profile.check(u.header); err != nil {
		return nil, err
	}
	if u.signature, err = jws.Decode(parts.Signature); err != nil {
		return nil, Malformed
	}
	payload, err := jws.Decode(parts.Payload)
	if err != nil {
		return nil, Malformed
	}
	if u.claims, err = parseClaims(payload); err != nil {
		return nil, err
	}
	switch {
	case profile.OwnKey:
		u.own, err = parseOwnKey(u.header)
	case u.header.Others:
		err = u.checkOthers(token)
	}
	if err != nil {
		return nil, err
	}
	return u, nil
}

// checkOthers refuses a token whose header has a key or certificate that cannot be read. Nothing
// of them is used.
func (u *Unverified) checkOthers(token string) error {
	if _, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(u.header.Algorithm)}); err != nil {
		return Malformed // its own words may quote the token
	}
	return nil
}

// check refuses a header that the profile does not allow.
func (p *Profile) check(h jws.Header) error {
	if !slices.Contains(p.Algorithms, h.Algorithm) || !slices.Contains(Algorithms(), h.Algorithm) {
		return BadAlgorithm
	}
	if h.Extension {
		return Critical
	}
	same := func(want string) bool { return jws.MediaType(want) == h.Type }
	if p.Types != nil && !slices.ContainsFunc(p.Types, same) {
		return BadType
	}
	return nil
}
