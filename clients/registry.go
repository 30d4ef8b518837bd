package clients

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// Errors of a Registry.
var (
	// ErrUnknown: no client has this id.
	ErrUnknown = errors.New("unknown client")
	// ErrStale: the registry cannot vouch for what it knows; refuse with 503, do not guess.
	ErrStale = errors.New("the client registry is out of date")
)

// Registry finds clients. Get may be called by any number of goroutines and answers from
// memory or within one round trip. It returns ErrUnknown for an id that does not
// exist, the client itself when it is disabled (Authenticate refuses it), and any
// other error when it cannot know: that is never a "no".
type Registry interface {
	Get(ctx context.Context, id string) (*Client, error)
}

// AuthReason says in the log why a client was refused; the client is told nothing of it.
type AuthReason string

// The reasons.
const (
	ReasonUnknown       AuthReason = "unknown_client"
	ReasonWrongSecret   AuthReason = "wrong_secret"
	ReasonSecretExpired AuthReason = "secret_expired"
	ReasonDisabled      AuthReason = "client_disabled"
	ReasonMethod        AuthReason = "auth_method_not_allowed"
)

// AuthError is the error of Authenticate for a client that did not prove itself. Its
// text is the same for every reason (docs/conformance.md CA-10).
type AuthError struct {
	ID       string     // as presented
	Reason   AuthReason // for the log
	Public   bool       // the client has no secret: nothing was guessed
	Sentence string     // for the client; "": the one for everybody
}

func (e *AuthError) Error() string { return cmp.Or(e.Sentence, "client authentication failed") }

// Authenticate returns the client that creds prove. It does the same work whether
// the client is unknown, disabled or has another secret, and returns an *AuthError for
// each; other errors are the registry's.
func Authenticate(ctx context.Context, reg Registry, creds Credentials, now time.Time) (*Client, error) {
	c, err := reg.Get(ctx, creds.ID)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return nil, err
	}
	reason := c.check(HashSecret(creds.Secret), now)
	switch {
	case c == nil || err != nil:
		reason = ReasonUnknown
	case !c.accepts(creds.Method), creds.Method == MethodJWT: // an assertion is proved elsewhere
		reason = ReasonMethod
	case c.Public() && creds.Secret == "":
		reason = ""
	case creds.Secret == "":
		reason = ReasonWrongSecret
	}
	if reason == "" && c.Disabled {
		reason = ReasonDisabled
	}
	if reason != "" {
		return nil, &AuthError{ID: creds.ID, Reason: reason, Public: c != nil && c.Public()}
	}
	return c, nil
}

// accepts says whether the client may authenticate by method: only by the one it is
// registered for (RFC 7591 §2; RFC 9700 §2.5).
func (c *Client) accepts(method Method) bool {
	if c.Method == MethodSecret {
		return method == MethodBasic || method == MethodPost
	}
	return c.Method == method
}
