package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/dpop"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// asError is the one table from errors of other packages to answers. What is not in it is our
// fault, and 503, so that no client throws good tokens away.
//
// Faults of directory and store come first, whatever sentinel they wrap: a mistake in what is
// stored is never the client's.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e := faultOf(err); e != nil {
		return e
	}
	if e, ok := errors.AsType[*clients.AuthError](err); ok {
		return &Error{Code: codeInvalidClient, Description: e.Error(), Reason: Reason(e.Reason), Err: e.Err}
	}
	if errors.Is(err, clients.ErrStale) || errors.Is(err, keys.ErrUnconfirmed) {
		return &Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second,
			Reason: "not_current", Err: err,
			Description: "nothing was done: this server cannot confirm what it knows at the " +
				"moment; try again"}
	}
	if e, ok := errors.AsType[*clients.CredentialsError](err); ok {
		if errors.Is(e, clients.ErrAmbiguous) {
			return refusal(codeInvalidRequest, "%s", e.Sentence)
		}
		return &Error{Code: codeInvalidClient, Description: e.Sentence, Reason: "no_credentials"}
	}
	if e, ok := errors.AsType[*tokens.GrantError](err); ok {
		return grantRefused(e)
	}
	if reason, ok := errors.AsType[dpop.Reason](err); ok {
		return proofRefused(reason)
	}
	switch {
	case errors.Is(err, tokens.ErrProofUsed):
		return proofRefused(dpop.Replayed)
	case errors.Is(err, users.ErrBusy):
		return &Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second,
			Reason:      "password_slots_busy",
			Description: "too many passwords are being checked at this moment; try again"}
	}
	return unavailable(err, "internal", "this server could not do what was asked; try again")
}

func grantRefused(e *tokens.GrantError) *Error {
	description := "the grant is not valid any more: log in again"
	if e.Reason == tokens.ReasonOtherKey {
		description = "the refresh token is bound to a key or a certificate that this request does not prove " +
			"(RFC 9449 §5, RFC 8705 §4); nothing was changed"
	}
	return &Error{Code: codeInvalidGrant, Description: description, Reason: Reason(e.Reason)}
}

// isRefusal tells a refusal from a store or directory that cannot answer.
func isRefusal(err error) bool {
	if _, ok := errors.AsType[*tokens.GrantError](err); ok {
		return true
	}
	e := asError(err)
	return e.Status < http.StatusInternalServerError
}
