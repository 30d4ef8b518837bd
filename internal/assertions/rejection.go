package assertions

import (
	"cmp"
	"errors"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// RejectionReason says in the log why an assertion was refused. The client does not learn it.
type RejectionReason string

// The reasons.
const (
	ReasonMalformed       RejectionReason = "malformed_assertion"
	ReasonAlgorithm       RejectionReason = "algorithm_not_allowed"
	ReasonType            RejectionReason = "wrong_type"
	ReasonCritical        RejectionReason = "unsupported_extension"
	ReasonIssuer          RejectionReason = "wrong_issuer"
	ReasonSubject         RejectionReason = "wrong_subject"
	ReasonClientID        RejectionReason = "wrong_client_id" // another than the assertion's, or none beside a workload's token
	ReasonUnknown         RejectionReason = "unknown_client"
	ReasonNoKeys          RejectionReason = "no_keys_registered"
	ReasonKeysUnavailable RejectionReason = "keys_unavailable" // the client's jwks_uri cannot be fetched
	ReasonUnknownKey      RejectionReason = "unknown_key"
	ReasonSignature       RejectionReason = "wrong_signature"
	ReasonAudience        RejectionReason = "wrong_audience"
	ReasonExpired         RejectionReason = "expired"
	ReasonNoExpiry        RejectionReason = "no_expiry"
	ReasonTooLong         RejectionReason = "expires_too_late"
	ReasonNotYet          RejectionReason = "not_yet_valid"
	ReasonNoJTI           RejectionReason = "no_jti"
	ReasonReplayed        RejectionReason = "replayed"
)

// ErrKeysUnavailable: the keys of a trusted issuer cannot be fetched. It says nothing of the
// client.
var ErrKeysUnavailable = errors.New("the keys of a trusted issuer cannot be fetched")

// Rejection is the error of Verify for a client that did not prove itself. Its text is the same
// for every reason before the signature was found good (docs/evidence/conformance.md CJ-10: 401
// invalid_client).
type Rejection struct {
	ID       string          // as presented, unverified
	Reason   RejectionReason // for the log
	Sentence string          // for a client whose signature was good; "": the same for all
	Err      error           // the cause, for the log; nil: the reason says it all. It holds nothing of the assertion
}

// Error is the sentence for the client.
func (e *Rejection) Error() string { return cmp.Or(e.Sentence, "client authentication failed") }

// Unwrap returns the cause.
func (e *Rejection) Unwrap() error { return e.Err }

// reasonOf names a refusal of package jwt; "" for an error that is none.
func reasonOf(err error) RejectionReason {
	var r jwt.TokenError
	if !errors.As(err, &r) {
		return ""
	}
	reason, ok := map[jwt.TokenError]RejectionReason{
		jwt.BadAlgorithm: ReasonAlgorithm, jwt.BadType: ReasonType, jwt.Critical: ReasonCritical, jwt.NoKey: ReasonUnknownKey,
		jwt.BadSignature: ReasonSignature, jwt.BadIssuer: ReasonIssuer, jwt.BadAudience: ReasonAudience, jwt.Expired: ReasonExpired,
		jwt.NoExpiry: ReasonNoExpiry, jwt.NotYet: ReasonNotYet,
	}[r]
	if !ok {
		return ReasonMalformed
	}
	return reason
}
