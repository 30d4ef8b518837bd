package tokens

import (
	"crypto/subtle"
	"encoding/base64"

	"github.com/grantor-auth/grantor/internal/jsonobject"
)

// Confirmation is what a token is bound to: whoever uses the token proves that they hold all of it
// (RFC 7800 §3.1). The zero value binds to nothing.
type Confirmation struct {
	KeyThumbprint         [32]byte // SHA-256 of a JWK, RFC 7638 (RFC 9449 §6.1, jkt); zero: no key
	CertificateThumbprint [32]byte // SHA-256 of a certificate's DER (RFC 8705 §3.1, x5t#S256); zero: none
}

// IsZero says whether nothing is bound.
func (c Confirmation) IsZero() bool { return c == Confirmation{} }

// HasKey says whether a key is bound: the token's type is DPoP (RFC 9449 §5).
func (c Confirmation) HasKey() bool { return c.KeyThumbprint != [32]byte{} }

// HasCertificate says whether a certificate is bound.
func (c Confirmation) HasCertificate() bool { return c.CertificateThumbprint != [32]byte{} }

// ProvedBy says whether a request that shows a key, a certificate or both proves all that c binds
// to. Nothing is bound: every request proves it.
func (c Confirmation) ProvedBy(shown Confirmation) bool {
	return (!c.HasKey() || subtle.ConstantTimeCompare(c.KeyThumbprint[:], shown.KeyThumbprint[:]) == 1) &&
		(!c.HasCertificate() || subtle.ConstantTimeCompare(c.CertificateThumbprint[:], shown.CertificateThumbprint[:]) == 1)
}

// JKT is the key's thumbprint in base64url, as cnf has it; "": no key.
func (c Confirmation) JKT() string { return thumbprintText(c.HasKey(), c.KeyThumbprint) }

// X5T is the certificate's thumbprint in base64url, as cnf has it; "": no certificate.
func (c Confirmation) X5T() string {
	return thumbprintText(c.HasCertificate(), c.CertificateThumbprint)
}

func thumbprintText(set bool, sum [32]byte) string {
	if !set {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Member adds cnf to claims or to an introspection answer (RFC 9449 §6.1, RFC 8705 §3.1). Where
// nothing is bound, it adds nothing.
func (c Confirmation) Member(o jsonobject.Object) jsonobject.Object {
	if c.IsZero() {
		return o
	}
	inner := make(jsonobject.Object, 0, 128).TextOr("jkt", c.JKT()).TextOr("x5t#S256", c.X5T())
	return append(o.Name("cnf"), inner.Close()...)
}

// A bound record has this bit in its version, and the confirmation at its end. Versions before know
// no such record: it is an error there, never an unbound token.
const boundRecord = 0x10

// recordKinds is where the bits of a record's version begin that say what is at its end. Scripts
// look at the kind alone.
const recordKinds = 0x10

// The kinds of thumbprints in a bound record.
const (
	withKey = 1 << iota
	withCertificate
)

// versionOf is the version of a record of a kind.
func (c Confirmation) versionOf(kind byte) byte {
	if c.IsZero() {
		return kind
	}
	return kind | boundRecord
}

// appendTo writes which thumbprints there are, and the thumbprints; nothing where none is.
func (c Confirmation) appendTo(dst []byte) []byte {
	if c.IsZero() {
		return dst
	}
	at := len(dst)
	dst = append(dst, 0)
	if c.HasKey() {
		dst[at] |= withKey
		dst = append(dst, c.KeyThumbprint[:]...)
	}
	if c.HasCertificate() {
		dst[at] |= withCertificate
		dst = append(dst, c.CertificateThumbprint[:]...)
	}
	return dst
}

// confirmation reads what appendTo wrote. A record that says it is bound, and to nothing, is
// unreadable.
func (d *recordReader) confirmation() (c Confirmation) {
	kinds := d.byte()
	if kinds&withKey != 0 {
		copy(c.KeyThumbprint[:], d.take(len(c.KeyThumbprint)))
	}
	if kinds&withCertificate != 0 {
		copy(c.CertificateThumbprint[:], d.take(len(c.CertificateThumbprint)))
	}
	if kinds > withKey|withCertificate || c.HasKey() != (kinds&withKey != 0) || c.HasCertificate() != (kinds&withCertificate != 0) || c.IsZero() {
		d.failed = true
	}
	return c
}

// confirmationSize is the size of a session's confirmation, which has both thumbprints in any case.
const confirmationSize = 2 * 32

func appendBoth(dst []byte, c Confirmation) []byte {
	return append(append(dst, c.KeyThumbprint[:]...), c.CertificateThumbprint[:]...)
}

// both reads what appendBoth wrote.
func (d *recordReader) both() (c Confirmation) {
	copy(c.KeyThumbprint[:], d.take(len(c.KeyThumbprint)))
	copy(c.CertificateThumbprint[:], d.take(len(c.CertificateThumbprint)))
	if c.IsZero() {
		d.failed = true
	}
	return c
}
