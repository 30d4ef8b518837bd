package assertions

import (
	"cmp"
	"errors"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// Reason says in the log why an assertion was refused; the client is told nothing of it.
type Reason string

// The reasons.
const (
	ReasonMalformed       Reason = "malformed_assertion"
	ReasonAlgorithm       Reason = "algorithm_not_allowed"
	ReasonType            Reason = "wrong_type"
	ReasonCritical        Reason = "unsupported_extension"
	ReasonIssuer          Reason = "wrong_issuer"
	ReasonSubject         Reason = "wrong_subject"
	ReasonClientID        Reason = "wrong_client_id" // another than the assertion's, or none beside a workload's token
	ReasonUnknown         Reason = "unknown_client"
	ReasonNoKeys          Reason = "no_keys_registered"
	ReasonKeysUnavailable Reason = "keys_unavailable" // the client's jwks_uri cannot be had
	ReasonUnknownKey      Reason = "unknown_key"
	ReasonSignature       Reason = "wrong_signature"
	ReasonAudience        Reason = "wrong_audience"
	ReasonExpired         Reason = "expired"
	ReasonNoExpiry        Reason = "no_expiry"
	ReasonTooLong         Reason = "expires_too_late"
	ReasonNotYet          Reason = "not_yet_valid"
	ReasonNoJTI           Reason = "no_jti"
	ReasonReplayed        Reason = "replayed"
)

// ErrKeysUnavailable: the keys of a trusted issuer cannot be had. It says nothing of the client.
var ErrKeysUnavailable = errors.New("the keys of a trusted issuer cannot be fetched")

// Refusal is the error of Verify for a client that did not prove itself. Its text is the same for every reason before the
// signature was found good (docs/conformance.md CJ-10: 401 invalid_client).
type Refusal struct {
	ID       string // as presented, unverified
	Reason   Reason // for the log
	Sentence string // for the client, whose signature was good; "": the one for everybody
	Err      error  // the cause, for the log; nil: the reason says it all. It holds nothing of the assertion
}

// Error is the sentence for the client.
func (e *Refusal) Error() string { return cmp.Or(e.Sentence, "client authentication failed") }

// Unwrap returns the cause.
func (e *Refusal) Unwrap() error { return e.Err }

// reasonOf names a refusal of package jwks; "" for an error that is none.
func reasonOf(err error) Reason {
	var r jwt.Refusal
	if !errors.As(err, &r) {
		return ""
	}
	reason, ok := map[jwt.Refusal]Reason{
		jwt.BadAlgorithm: ReasonAlgorithm, jwt.BadType: ReasonType, jwt.Critical: ReasonCritical, jwt.NoKey: ReasonUnknownKey,
		jwt.BadSignature: ReasonSignature, jwt.BadIssuer: ReasonIssuer, jwt.BadAudience: ReasonAudience, jwt.Expired: ReasonExpired,
		jwt.NoExpiry: ReasonNoExpiry, jwt.NotYet: ReasonNotYet,
	}[r]
	if !ok {
		return ReasonMalformed
	}
	return reason
}
