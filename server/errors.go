package server

import (
	"fmt"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/internal/audit"
)

// Codes of the registry (RFC 6749 §11.4, RFC 8707 §5.3) that we answer with. What each means and
// what to do is in test/reference/codes.go.
const (
	codeInvalidRequest       = "invalid_request"
	codeInvalidClient        = "invalid_client"
	codeInvalidGrant         = "invalid_grant"
	codeUnauthorizedClient   = "unauthorized_client"
	codeUnsupportedGrantType = "unsupported_grant_type"
	codeInvalidScope         = "invalid_scope"
	codeUnsupportedResponse  = "unsupported_response_type" // RFC 6749 §4.1.2.1
	codeInvalidTarget        = "invalid_target"
	codeInvalidMetadata      = "invalid_client_metadata" // RFC 7591 §3.2.2
	codeInvalidToken         = "invalid_token"           // RFC 6750 §3.1
	codeInsufficientScope    = "insufficient_scope"      // RFC 6750 §3.1
	codeInvalidProof         = "invalid_dpop_proof"      // RFC 9449 §5
	codeUseNonce             = "use_dpop_nonce"          // RFC 9449 §8
	codeServerError          = "server_error"
	codeUnavailable          = "temporarily_unavailable"
)

// Reason says in log, metrics and trail why a request was refused. The client does not learn it.
// Each has its cause and its cure in test/reference/reasons.go; a test fails for one without.
type Reason string

// Error is a refusal: a code for programs, a sentence for the client's developer, a
// reason for the log (RFC 6749 §5.2). The cause is never sent.
type Error struct {
	Code        string
	Description string        // what was wrong and what would be right; nothing of the request in it
	Status      int           // 0: 400
	RetryAfter  time.Duration // 0: no header
	Reason      Reason        // for the log: unknown_client, wrong_secret, …
	Err         error         // for the log
	Outcome     string        // one of metrics.Outcome…, where the store failed; "": not said
	Page        bool          // a person may see it: HTML where the browser asks for that
	More        any           // object whose members stand beside the error; nil: none
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Code + ": " + e.Err.Error()
	}
	return e.Code + ": " + e.Description
}

func (e *Error) Unwrap() error { return e.Err }

func refusal(code, format string, args ...any) *Error {
	return &Error{Code: code, Description: fmt.Sprintf(format, args...)}
}

// reasonNotConfirmed names changes that were made and not confirmed, in log, metrics and trail.
const reasonNotConfirmed = audit.NotConfirmed

func unavailable(err error, reason Reason, description string) *Error {
	return &Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second,
		Reason: reason, Err: err, Description: description}
}
