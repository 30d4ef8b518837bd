package users

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// Bounds of what may be typed (checklist row PW-08).
const (
	MaxNameBytes     = 256
	MaxPasswordBytes = 1024
)

// Login is what somebody typed: a normalised name and a password, well formed and not yet believed.
// It never prints the password.
type Login struct {
	name     string
	password string
}

// NewLogin reads the username and password of a request (RFC 6749 §4.3.2). Errors are
// *MalformedError.
func NewLogin(username, password string) (Login, error) {
	name, err := NormalizeName(username)
	if err != nil {
		return Login{}, err
	}
	if err := CheckPassword(password); err != nil {
		return Login{}, err
	}
	return Login{name, password}, nil
}

// Name returns the normalised login name.
func (l Login) Name() string { return l.name }

// String shows the name only.
func (l Login) String() string { return "log-in of " + l.name }

// GoString is String: %#v shows no password either.
func (l Login) GoString() string { return l.String() }

// NormalizeName returns the one form in which a login name is looked up and stored: RFC 8265
// §3.4 UsernameCasePreserved where that profile takes the name, else its NFC, so that names
// with spaces or symbols work too. Case counts; a directory that ignores it answers for
// all spellings with one id. Applying it twice changes nothing. Errors are *MalformedError.
func NormalizeName(text string) (string, error) {
	if err := checkTyped("username", text, MaxNameBytes); err != nil {
		return "", err
	}
	name := norm.NFC.String(text)
	if narrowed, err := precis.UsernameCasePreserved.String(name); err == nil {
		name = narrowed
	}
	if len(name) > MaxNameBytes {
		return "", tooLong("username", "256 bytes")
	}
	return name, nil
}

// CheckPassword says whether a password is one that is looked at: 1 to MaxPasswordBytes. It judges
// form, not strength. Errors are *MalformedError.
func CheckPassword(password string) error {
	return checkTyped("password", password, MaxPasswordBytes)
}

// checkTyped holds text to the characters of RFC 6749 App. A: UNICODECHARNOCRLF.
func checkTyped(field, text string, limit int) error {
	switch {
	case text == "":
		return &MalformedError{field, "is empty"}
	case len(text) > limit && limit == MaxPasswordBytes:
		return tooLong(field, "1024 bytes")
	case len(text) > limit:
		return tooLong(field, "256 bytes")
	case !utf8.ValidString(text):
		return &MalformedError{field, "is not UTF-8"}
	case strings.ContainsFunc(text, notTypeable):
		return &MalformedError{field, "holds control characters (RFC 6749 App. A.15, A.16)"}
	}
	return nil
}

func tooLong(field, limit string) error {
	return &MalformedError{field, "is longer than " + limit}
}

// notTypeable says what UNICODECHARNOCRLF leaves out: %x09 / %x20-7E / %x80-D7FF /
// %xE000-FFFD / %x10000-10FFFF stay.
func notTypeable(r rune) bool {
	return r < 0x20 && r != '\t' || r == 0x7f || r == 0xfffe || r == 0xffff
}

// foldName returns the form by which failures for an unknown name are counted: as coarse as the
// coarsest collation that a database is likely to have, so that spelling one name in
// several cases or widths opens no second budget.
func foldName(name string) string {
	return cases.Fold().String(norm.NFKC.String(name))
}

// minPassword is the fewest characters of a new password (OWASP ASVS 6.2.1).
const minPassword = 8

// CheckNewPassword says whether a password may be set: what CheckPassword says, and its length.
func CheckNewPassword(password string) error {
	if err := CheckPassword(password); err != nil {
		return err
	}
	if len([]rune(password)) < minPassword {
		return errors.New("a password has 8 characters at least (OWASP ASVS 6.2.1); 15 are better")
	}
	return nil
}
