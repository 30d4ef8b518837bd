package users

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"slices"
	"sync"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/internal/nearest"
	"github.com/grantor-auth/grantor/scopes"
)

// User is one resource owner as a directory knows them at this moment.
type User struct {
	ID         string        // the subject of tokens (RFC 7662 §2.2 sub): never changes, never the login name; see CheckSubject
	Username   string        // the login name, for people and for introspection; "" where the directory did not say
	Scope      *scopes.Rules // the most that tokens may carry; nil: none of the user's own, see Rules
	Claims     claims.Set    // custom claims of the user's tokens
	Disabled   bool          // may not log in; refreshes fail
	Credential Credential    // changes when the password changes
}

// Rules returns what tokens of the user may carry: the user's own scope, or fallback where the
// user has none of their own. An own scope that is empty allows nothing.
func (u *User) Rules(fallback scopes.Rules) scopes.Rules {
	if u.Scope == nil {
		return fallback
	}
	return *u.Scope
}

// Credential is what a password is stored as: the text of its hash, or what an application
// said in its place. It is nearly a secret: it prints as "[redacted]", and only
// its fingerprint leaves this package.
type Credential struct{ text string }

// NewCredential is for directories outside this package: text is the stored password hash
// in one of the forms of CheckHash.
func NewCredential(text string) Credential { return Credential{text} }

// FingerprintSize is the length of a fingerprint in bytes.
const FingerprintSize = sha256.Size

// Fingerprints makes fingerprints of credentials under a key of the server. It may be used by any
// number of goroutines.
type Fingerprints struct{ states sync.Pool }

// NewFingerprints returns those of a key.
func NewFingerprints(key []byte) *Fingerprints {
	f := &Fingerprints{}
	f.states.New = func() any { return &fingerprint{mac: hmac.New(sha256.New, key)} }
	return f
}

// fingerprint is a keyed hash that is used again: setting up its key is half of its cost.
type fingerprint struct {
	mac hash.Hash
	in  []byte
	out [FingerprintSize]byte
}

// Of returns HMAC-SHA256 of the credential: equal exactly as long as the password was not set anew,
// and useless to whoever lacks the key. A hash that an application renews without a new password
// (Django does so when its iteration count rises) counts as another one.
func (f *Fingerprints) Of(c Credential) [FingerprintSize]byte {
	s := f.states.Get().(*fingerprint)
	defer f.states.Put(s)
	s.in = append(append(s.in[:0], "grantor/credential/v1\x00"...), c.text...)
	s.mac.Reset()
	s.mac.Write(s.in)
	clear(s.in)
	s.mac.Sum(s.out[:0])
	return s.out
}

const redacted = "[redacted]"

// String hides the credential.
func (Credential) String() string { return redacted }

// GoString hides the credential from %#v.
func (Credential) GoString() string { return redacted }

// LogValue hides the credential from slog.
func (Credential) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the credential from JSON and TOML.
func (Credential) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MaxSubjectBytes bounds a subject.
const MaxSubjectBytes = 255

// CheckSubject says whether an id can be the subject of tokens: 1 to MaxSubjectBytes of
// printable ASCII without spaces, so that it is one and the same text in JSON,
// in logs and on a command line.
func CheckSubject(id string) error {
	if id == "" || len(id) > MaxSubjectBytes {
		return fmt.Errorf("a user's id has 1 to %d characters", MaxSubjectBytes)
	}
	for i := range len(id) {
		if id[i] <= 0x20 || id[i] >= 0x7f {
			return errors.New("a user's id holds printable ASCII without spaces only; have the query turn a binary id into text")
		}
	}
	return nil
}

// CheckScope says whether rules may be a user's: no user is given power over Grantor itself.
func CheckScope(rules scopes.Rules) error {
	for t := range rules.Exact().All() {
		if scopes.IsReserved(t) {
			return fmt.Errorf("scopes that begin with %q are for clients, never for users", scopes.Reserved)
		}
	}
	return nil
}

// CheckKnownScope says whether rules may be a user's, and every scope in them exists.
func CheckKnownScope(rules scopes.Rules, known *scopes.Catalogue) error {
	if err := CheckScope(rules); err != nil {
		return err
	}
	if unknown := known.Unknown(rules); len(unknown) > 0 {
		return fmt.Errorf("no scope of [scopes] matches %q%s", unknown[0],
			nearest.Hint(unknown[0], slices.Collect(known.Names().All())))
	}
	return nil
}

// MayNothing says what is wrong where a user can have no scope at all, "" where it can have one.
// fallback is [users] scope.
func MayNothing(u *User, fallback scopes.Rules, known *scopes.Catalogue) string {
	switch {
	case known.Any(u.Rules(fallback)):
		return ""
	case u.Scope == nil:
		return "the user has no scope, and [users] scope gives none: every login will be refused with invalid_scope"
	}
	return "the user's scope gives nothing: every login will be refused with invalid_scope"
}

// readScope reads what a back end keeps as a user's own scope; nil is none.
func readScope(text *string) (*scopes.Rules, error) {
	if text == nil {
		return nil, nil //nolint:nilnil // no scope of one's own is a value, see User.Scope
	}
	rules, err := scopes.ParseRules(*text)
	if err == nil {
		err = CheckScope(rules)
	}
	if err != nil {
		return nil, unusable("scope: %w", err)
	}
	return &rules, nil
}

// readClaims reads what a back end keeps as a user's claims; nil or null is none.
func readClaims(text []byte) (own claims.Set, err error) {
	if len(text) > 0 && string(text) != "null" {
		if own, err = claims.Parse(text); err == nil {
			err = own.Check()
		}
	}
	return own, err
}

// writeScope is the reverse of readScope.
func writeScope(rules *scopes.Rules) (*string, error) {
	if rules == nil {
		return nil, nil //nolint:nilnil // as in readScope
	}
	text := rules.String()
	return &text, CheckScope(*rules)
}
