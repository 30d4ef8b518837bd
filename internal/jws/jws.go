// Package jws takes a compact JWS (RFC 7515 §7.1) apart and reads its header, without any
// cryptography. It is the one reader of such headers: whoever verifies a token asks here what the
// token claims to be.
//
//	token, err := jws.Parse(text)
//	payload, err := jws.Decode(token.Payload)
package jws

import (
	"encoding/base64"
	"errors"
	"strings"
)

// ErrMalformed is the error for every text that is no compact JWS. It quotes nothing of the text.
var ErrMalformed = errors.New("not a JWS in compact serialization (RFC 7515 §7.1)")

// Parts is a compact JWS in its parts. Nobody vouches for it yet.
type Parts struct {
	Header    Header
	Protected string // the header in base64url, as it came
	Payload   string // in base64url, not decoded yet
	Signature string // in base64url, not decoded yet
}

// Parse takes a text apart and reads its header; payload and signature are not looked at. The
// caller bounds the length.
func Parse(text string) (p Parts, err error) {
	if strings.Count(text, ".") != 2 { // counted, not split: 20,000 dots take no memory (CVE-2025-27144)
		return p, ErrMalformed
	}
	var rest string
	p.Protected, rest, _ = strings.Cut(text, ".")
	p.Payload, p.Signature, _ = strings.Cut(rest, ".")
	header, err := Decode(p.Protected)
	if err != nil {
		return p, err
	}
	p.Header, err = readHeader(header)
	return p, err
}

// HasForm says whether a text has three parts, of which the first begins a JSON object. It tells
// JWTs from opaque tokens.
func HasForm(text string) bool {
	if strings.Count(text, ".") != 2 {
		return false
	}
	header, _, _ := strings.Cut(text, ".")
	start, err := base64.RawURLEncoding.DecodeString(header[:min(len(header), 4)])
	return err == nil && strings.HasPrefix(string(start), "{")
}

// Decode reads a part: base64url without padding and white space, and no second spelling of the
// same bytes (RFC 7515 §2).
func Decode(part string) ([]byte, error) {
	if part == "" || strings.ContainsAny(part, "\r\n") { // which Go's decoder skips
		return nil, ErrMalformed
	}
	out, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, ErrMalformed
	}
	return out, nil
}

// Canonical says whether a part is spelled as Decode wants it, without decoding it all: lax
// decoders skip line ends and padding, and ignore the bits of the last letter that mean nothing.
func Canonical(part string) bool {
	if part == "" || strings.ContainsAny(part, "\r\n=") {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(part[len(part)&^3:])
	return err == nil
}
