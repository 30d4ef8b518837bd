package users

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// Bounds of what may be typed (docs/evidence/conformance.md PW-08).
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
func (l Login) String() string { return "login of " + l.name }

// GoString is String: %#v shows no password either.
func (l Login) GoString() string { return l.String() }

// NormalizeName returns the one form in which a login name is looked up and stored: parts that are
// divided by single spaces (RFC 8265 §3.1), each by the profile UsernameCasePreserved (§3.4) where
// it takes the part, else in NFC, so that names with symbols work too. Case counts; a directory
// that ignores it answers for all spellings with one id. Applying it twice changes nothing. Errors
// are *MalformedError.
func NormalizeName(text string) (string, error) {
	if err := checkTyped("username", text, MaxNameBytes); err != nil {
		return "", err
	}
	parts := strings.Split(norm.NFC.String(text), " ")
	for i, part := range parts {
		if narrowed, err := precis.UsernameCasePreserved.String(part); err == nil && part != "" {
			parts[i] = narrowed
		} else if part == "" || strings.ContainsFunc(part, invisible) {
			return "", &MalformedError{"username", "holds a character that cannot be seen, or a space that is not a single one between two words; trim what was typed"}
		}
	}
	name := strings.Join(parts, " ")
	if len(name) > MaxNameBytes {
		return "", tooLong("username", "256 bytes")
	}
	return name, nil
}

// invisible says what a part of a name cannot hold: blanks, control and format characters.
// Directories differ in whether they see them, so one name would have many spellings.
func invisible(r rune) bool { return unicode.In(r, unicode.C, unicode.Z) }

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

// foldName returns the form by which failures of a name are counted where the user's id is not
// known: as coarse as the coarsest collation that a database is likely to have, so that spelling
// one name in several cases, widths, accents or spacings opens no second budget. Users who share a
// form share a budget and nothing else.
func foldName(name string) string {
	bare := strings.Map(func(r rune) rune {
		if invisible(r) || unicode.In(r, unicode.M, unicode.Other_Default_Ignorable_Code_Point) {
			return -1
		}
		return r
	}, norm.NFKD.String(cases.Fold().String(norm.NFKD.String(name))))
	if bare == "" {
		return norm.NFKC.String(name)
	}
	return bare
}

// normalPassword returns a password by RFC 8265 §4.2 OpaqueString: NFC, and every space U+0020. A
// password that the profile does not take stays as it was typed.
func normalPassword(password string) string {
	normal, err := precis.OpaqueString.String(password)
	if err != nil || CheckPassword(normal) != nil {
		return password
	}
	return normal
}

// minPassword is the fewest characters of a new password (OWASP ASVS 6.2.1).
const minPassword = 8

// CheckNewPassword says whether a password may be set: what CheckPassword says, and its length.
func CheckNewPassword(password string) error {
	if err := CheckPassword(password); err != nil {
		return err
	}
	if len([]rune(normalPassword(password))) < minPassword {
		return errors.New("a password has 8 characters at least (OWASP ASVS 6.2.1); 15 are better")
	}
	return nil
}
