package jwt

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Profile say what a token may look like.
type Profile struct {
	Algorithms []string         // allowed values of alg (RFC 8725 §3.1); none given: every token is refused
	Types      []string         // allowed values of typ, "" for none (RFC 8725 §3.11); nil: typ is not looked at
	MaxBytes   int              // 0: 8 kB
	Now        func() time.Time // nil: time.Now
}

// defaultMaxBytes is how long a token may be.
const defaultMaxBytes = 8 << 10

// Header is what matters of a token's header (RFC 7515 §4.1). Nothing else of it is used.
type Header struct {
	Algorithm string // alg
	Type      string // typ in lower case and without application/ (RFC 7515 §4.1.9)
	KeyID     string // kid; "": none
}

// Unverified is a token of good form that nobody vouches for. It may choose whose keys are asked, and nothing more.
type Unverified struct {
	header    Header
	input     string // what was signed
	signature []byte
	claims    *Claims
	now       func() time.Time
}

// Header returns the header.
func (u *Unverified) Header() Header { return u.header }

// Issuer returns iss as the token has it, unverified.
func (u *Unverified) Issuer() string { return u.claims.Issuer }

// Subject returns sub as the token has it, unverified.
func (u *Unverified) Subject() string { return u.claims.Subject }

// Parse takes a token apart and refuses what no signature could make good. It does no cryptography. Errors are TokenErrors.
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
	if strings.Count(token, ".") != 2 { // counted, not split: memory for 20,000 dots is not spent (CVE-2025-27144)
		return nil, Malformed
	}
	return parse(token, profile)
}

func parse(token string, profile Profile) (*Unverified, error) {
	end := strings.LastIndexByte(token, '.')
	first, second, _ := strings.Cut(token[:end], ".")
	header, err := decode(first)
	if err != nil {
		return nil, err
	}
	u := &Unverified{input: token[:end], now: profile.Now}
	var others bool
	if u.header, others, err = parseHeader(header, profile); err != nil {
		return nil, err
	}
	if u.signature, err = decode(token[end+1:]); err != nil {
		return nil, err
	}
	payload, err := decode(second)
	if err != nil {
		return nil, err
	}
	if u.claims, err = parseClaims(payload); err != nil {
		return nil, err
	}
	if others {
		if err := u.checkOthers(token); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// checkOthers refuses a token whose header has a key or certificate that cannot be read. Nothing of them is used.
func (u *Unverified) checkOthers(token string) error {
	if _, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(u.header.Algorithm)}); err != nil {
		return Malformed // its own words may quote the token
	}
	return nil
}

// strict refuses a last letter with bits that mean nothing.
var strict = base64.RawURLEncoding.Strict()

// decode reads base64url as RFC 7515 §2 has it: no padding, no white space, no second spelling of the same bytes.
func decode(text string) ([]byte, error) {
	if text == "" || strings.ContainsAny(text, "\r\n") { // which Go's decoder passes over
		return nil, Malformed
	}
	out, err := strict.DecodeString(text)
	if err != nil {
		return nil, Malformed
	}
	return out, nil
}

// parseHeader reads the header and holds it against the profile. others says whether it has more members than Header.
func parseHeader(text []byte, profile Profile) (h Header, others bool, err error) {
	o, err := parseObject(text)
	if err != nil {
		return h, false, err
	}
	known := []named{{"alg", &h.Algorithm}, {"typ", &h.Type}, {"kid", &h.KeyID}}
	if err = o.readTexts(known...); err != nil {
		return h, false, err
	}
	h.Type = mediaType(h.Type)
	others = slices.ContainsFunc(o, func(m member) bool { return !slices.ContainsFunc(known, m.isNamed) })
	return h, others, h.check(o, profile)
}

func (h *Header) check(o object, profile Profile) error {
	if !slices.Contains(profile.Algorithms, h.Algorithm) || !slices.Contains(Algorithms(), h.Algorithm) {
		return BadAlgorithm
	}
	for _, extension := range []string{"crit", "b64"} { // RFC 7515 §4.1.11; RFC 7797 §7: no JWT has b64
		if o.has(extension) {
			return Critical
		}
	}
	same := func(want string) bool { return mediaType(want) == h.Type }
	if profile.Types != nil && !slices.ContainsFunc(profile.Types, same) {
		return BadType
	}
	return nil
}

// mediaType makes typ comparable: media types know no case, and application/ may be left out (RFC 7515 §4.1.9).
func mediaType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}
