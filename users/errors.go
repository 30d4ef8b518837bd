package users

import (
	"errors"
	"fmt"
	"slices"
)

// Errors of an Authenticator and of a Directory. Any other error of theirs wraps
// ErrUnavailable or is the context's.
var (
	// ErrRefused: the name and password prove nobody who may log in. It is one error for unknown
	// names, wrong passwords and disabled users; errors.As with *LoginError gives the log's reason.
	ErrRefused = errors.New("the user name or the password is wrong")
	// ErrBusy: no slot became free in time; the password was not looked at. Answer 503.
	ErrBusy = errors.New("too many passwords are being checked at this moment")
	// ErrUnavailable: the directory cannot say. It is neither a yes nor a no: answer 503.
	ErrUnavailable = errors.New("the directory of users cannot answer")
	// ErrGone: at a refresh, the user no longer exists or is disabled: end the session.
	ErrGone = errors.New("the user is gone or disabled")
	// ErrUnknown: a Directory has no such user.
	ErrUnknown = errors.New("no such user")
	// ErrRecord: a Directory's entry cannot be used: two rows for one name, an id
	// that can be no subject, a scope that cannot be read. Nobody logs in by it, and
	// no answer says that a password is wrong: answer 503.
	ErrRecord = errors.New("the directory's entry cannot be used")
	// ErrExists: the name or the id is taken.
	ErrExists = errors.New("the user exists already")
)

// LoginReason says in the log why a login was refused; the client does not learn it.
type LoginReason string

// The reasons.
const (
	ReasonUnknown    LoginReason = "unknown_user"
	ReasonPassword   LoginReason = "wrong_password"
	ReasonDisabled   LoginReason = "user_disabled"
	ReasonNoPassword LoginReason = "no_usable_password" // NULL, empty, Django's "!…", or a form that is not supported
)

// LoginError is the error of Verify for a login that proved nobody. Its text is the same
// for every reason (docs/evidence/conformance.md PW-04); errors.Is(err, ErrRefused) holds.
type LoginError struct {
	Subject string // the user's id, "" where none was found
	Reason  LoginReason
	Cause   error // what was wrong with the directory's entry, for the log; mostly nil
}

func (e *LoginError) Error() string { return ErrRefused.Error() }

// Is makes a LoginError an ErrRefused. The cause is not unwrapped: no error inside it may turn a
// refusal into something else.
func (e *LoginError) Is(target error) bool { return target == ErrRefused }

// MalformedError is a name or password that no directory is asked about (RFC 6749 App. A.15,
// A.16). Its text may be shown to the client's developer.
type MalformedError struct {
	Field   string // "username" or "password"
	Problem string
}

func (e *MalformedError) Error() string { return e.Field + " " + e.Problem }

// DirectoryError is a fault of a directory: it was silent, refused, or answered what cannot be
// used. It is an ErrUnavailable, an ErrRecord, or both. The cause is for the log and is not
// unwrapped: no error inside it may be taken for a mistake of the client's.
type DirectoryError struct {
	Kinds []error // ErrUnavailable, ErrRecord
	Cause error
}

func (e *DirectoryError) Error() string {
	return fmt.Sprintf("%v: %v", e.Kinds[len(e.Kinds)-1], e.Cause)
}

// Is says which kind of fault it is.
func (e *DirectoryError) Is(target error) bool { return slices.Contains(e.Kinds, target) }

// unavailable marks an error of a back end as ErrUnavailable.
func unavailable(what string, err error) error {
	return &DirectoryError{[]error{ErrUnavailable}, fmt.Errorf("%s: %w", what, err)}
}

// unusable marks what a back end answered as ErrRecord.
func unusable(format string, args ...any) error {
	return &DirectoryError{[]error{ErrRecord}, fmt.Errorf(format, args...)}
}

// unusableAnswer is unusable where nobody can say more: an application's answer.
func unusableAnswer(what string, err error) error {
	return &DirectoryError{[]error{ErrUnavailable, ErrRecord}, fmt.Errorf("%s: %w", what, err)}
}
