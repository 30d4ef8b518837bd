package users

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
)

// Authenticator says who a login name and a password prove. All methods may be called by any
// number of goroutines. Callers must treat every error as "not logged in".
type Authenticator interface {
	// Lookup finds out by what the failures of this login are counted. It costs at most one
	// question to the directory and no hash. An unknown name is no error. Errors wrap
	// ErrUnavailable.
	Lookup(ctx context.Context, login Login) (*Attempt, error)

	// Verify compares the password and returns the user. It does the same work whatever it
	// answers: a *LoginError for unknown, wrong and disabled alike, ErrBusy when no
	// slot was free within MaxWait, or an error that wraps ErrUnavailable. A context that ends
	// while it waits ends it with the context's error.
	Verify(ctx context.Context, attempt *Attempt) (*User, error)

	// Decline takes as long as Verify usually does and computes nothing: for an attempt that is
	// refused because there were too many failures. It ends early with the context.
	Decline(ctx context.Context)

	// Recheck returns the user as they are now, by id: ErrGone when they no longer exist or are
	// disabled, or an error that wraps ErrUnavailable, which must end nothing.
	Recheck(ctx context.Context, id string) (*User, error)

	// Slots bound and count the password checks.
	Slots() *Slots
}

// Attempt is one login between Lookup and Verify. It never prints the password.
type Attempt struct {
	login   Login
	user    *User       // nil: none was found, or the directory is asked with the password only
	refused LoginReason // set where Lookup knows already that Verify will refuse
	late    bool        // see Late
	cause   error
}

// Key names what the failures of this attempt are counted by: the user's id where
// the name was found, else the name, folded. The two kinds never meet, so nobody locks a user
// by typing an id as a name. It is neither bounded to ASCII nor fit for a key in clear: hash it.
func (a *Attempt) Key() string {
	if a.user != nil {
		return KeyOf(a.user.ID)
	}
	return KeyOfName(a.login.name)
}

// Late says that only Verify learns for certain whose name it is. The caller then does the same for
// a name that is nobody's as for a user's.
func (a *Attempt) Late() bool { return a.late }

// KeyOf is Key where the user's id is known.
func KeyOf(id string) string { return "id:" + id }

// KeyOfName is Key where the directory knows no user of a normalised name.
func KeyOfName(name string) string { return "name:" + foldName(name) }

// Generation is another text when the user's password is set anew, and says nothing of it: a new
// password has no failures yet. It is "" where Lookup does not know.
func (a *Attempt) Generation() string {
	if a.user == nil || a.user.Credential.text == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("grantor/generation/v1\x00" + a.user.Credential.text))
	return hex.EncodeToString(sum[:8])
}

// Subject returns the id of the user that was found, "" otherwise. For the log and for
// the user's epoch; it must not reach the client.
func (a *Attempt) Subject() string {
	if a.user == nil {
		return ""
	}
	return a.user.ID
}

// Username returns the normalised login name, for the log.
func (a *Attempt) Username() string { return a.login.name }

// String shows the name only.
func (a *Attempt) String() string { return a.login.String() }

// GoString is String.
func (a *Attempt) GoString() string { return a.login.String() }

// LogValue shows the name and the subject.
func (a *Attempt) LogValue() slog.Value {
	return slog.GroupValue(slog.String("username", a.login.name), slog.String("sub", a.Subject()))
}

// refuse is the one way to say no.
func (a *Attempt) refuse(reason LoginReason) error {
	return &LoginError{Subject: a.Subject(), Reason: reason, Cause: a.cause}
}
