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

// AuthReason says in the log why a client was refused; the client does not learn it.
type AuthReason string

// The reasons.
const (
	ReasonUnknown       AuthReason = "unknown_client"
	ReasonWrongSecret   AuthReason = "wrong_secret"
	ReasonSecretExpired AuthReason = "secret_expired"
	ReasonDisabled      AuthReason = "client_disabled"
	ReasonMethod        AuthReason = "auth_method_not_allowed"
	ReasonAddress       AuthReason = "address_not_allowed" // right credentials, from outside allowed_networks

	ReasonNoCertificate        AuthReason = "no_certificate"
	ReasonCertificateHeader    AuthReason = "certificate_header"             // of a trusted proxy, and not usable
	ReasonCertificatePeer      AuthReason = "certificate_header_not_trusted" // of another peer
	ReasonCertificateExpired   AuthReason = "certificate_expired"            // or not valid yet
	ReasonCertificatePurpose   AuthReason = "certificate_purpose"
	ReasonCertificateAuthority AuthReason = "certificate_authority"
	ReasonCertificateName      AuthReason = "certificate_name"
	ReasonCertificateUnknown   AuthReason = "certificate_unknown" // none of jwks
)

// AuthError is the error of Authenticate for a client that did not prove itself. Its
// text is the same for every reason (docs/evidence/conformance.md CA-10).
type AuthError struct {
	ID         string     // as presented
	Credential string     // the one that is right, and refused all the same, see Proof; "": none is
	Reason     AuthReason // for the log
	Public     bool       // the client has no secret: nothing was guessed
	Sentence   string     // for the client; "": the one for everybody
	Err        error      // the cause, for the log; nil: the reason says it all
}

// ErrByCertificate is the error of Authenticate for a client that says who it is, and proves it by
// a certificate: the Proof has the client, which is not proved yet, and may be disabled.
var ErrByCertificate = errors.New("the client proves itself by a certificate")

func (e *AuthError) Unwrap() error { return e.Err }

func (e *AuthError) Error() string { return cmp.Or(e.Sentence, "client authentication failed") }

// Authenticate returns the proof of the client that creds prove. It does the same work whether
// the client is unknown, disabled or has another secret, and returns an *AuthError for
// each; ErrSlowSecret where ProveSlowly must tell; other errors are the registry's.
func Authenticate(ctx context.Context, reg Registry, creds Credentials, now time.Time) (Proof, error) {
	c, err := reg.Get(ctx, creds.ID)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return Proof{}, err
	}
	secret, reason := c.check(HashSecret(creds.Secret), now)
	switch {
	case c == nil || err != nil:
		reason = ReasonUnknown
	case c.Method.ByCertificate() && creds.Method == MethodNone:
		return Proof{Client: c}, ErrByCertificate
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
	if reason == ReasonWrongSecret && creds.Secret != "" && c.hasSlowSecret(now) {
		return Proof{Client: c}, ErrSlowSecret
	}
	proof := Proof{Client: c}
	if secret != nil {
		proof.Credential, proof.used = secret.Credential(), secret.used
	}
	if reason != "" {
		return Proof{}, &AuthError{ID: creds.ID, Credential: proof.Credential, Reason: reason, Public: c != nil && c.Public()}
	}
	return proof, nil
}

// accepts says whether the client may authenticate by method: only by the one it is
// registered for (RFC 7591 §2; RFC 9700 §2.5).
func (c *Client) accepts(method Method) bool {
	if c.Method == MethodSecret {
		return method == MethodBasic || method == MethodPost
	}
	return c.Method == method
}
