package server

import (
	"errors"
	"slices"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// faultOf names the user directory or the store where one of them failed; nil: neither did.
func faultOf(err error) *Error {
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
	}
	_, outside := errors.AsType[*users.DirectoryError](err)
	fault, inStore := errors.AsType[storeFault](err)
	switch {
	case is(users.ErrRecord):
		return unavailable(err, "directory_answer_invalid",
			"nothing was done: the directory of users gave no usable answer; try again")
	case is(claims.ErrAnswer):
		return unavailable(err, "claims_invalid",
			"nothing was done: the claims of this token cannot be used; the log of the server says why")
	case is(claims.ErrUnavailable):
		return unavailable(err, "claims_hook_unavailable",
			"nothing was done: the application that gives the claims of this token does not answer; try again")
	case is(users.ErrUnavailable) && (outside || !inStore): // the directory in Redis fails as the store does
		return unavailable(err, "directory_unavailable",
			"nothing was done: the directory of users does not answer; try again")
	case is(tokens.ErrRecord, clients.ErrRecord, keys.ErrRecord):
		return unavailable(err, "store_record_invalid", "the token store gave no usable answer; try again")
	case is(tokens.ErrFull, lockout.ErrFull):
		return unavailable(err, "store_full", "the token store is full; try again")
	}
	if is(assertions.ErrKeysUnavailable, jwt.ErrCrowded) {
		return unavailable(err, "keys_unavailable",
			"the keys that the JWT of this request is signed by cannot be fetched; try again")
	}
	if fault != nil && !is(clients.ErrStale, keys.ErrUnconfirmed) {
		return storeFaultOf(err)
	}
	return nil
}

// storeFaultOf says what a failed store means: nothing was done, it is not confirmed, or nobody
// knows. The client may repeat the request after each.
func storeFaultOf(err error) *Error {
	e := unavailable(err, "store_unavailable", "nothing was done: the token store does not answer; try again")
	e.Outcome = outcomeOf(err)
	switch e.Outcome {
	case metrics.OutcomeNotConfirmed:
		e.Reason = reasonNotConfirmed
		e.Description = "this is done, but too few replicas of the token store have confirmed it, so that " +
			"a failover could undo it; it is safe to ask again"
	case metrics.OutcomeUnknown:
		e.Reason = "outcome_unknown"
		e.Description = "the token store's answer was lost, so whether this was done is not known; it is " +
			"safe to ask again"
	}
	return e
}

// outcomeOf returns what became of an operation of the store: "" without an error, else one of
// metrics.Outcome….
func outcomeOf(err error) string {
	if err == nil {
		return ""
	}
	if _, ok := errors.AsType[interface {
		error
		NotConfirmed()
	}](err); ok {
		return metrics.OutcomeNotConfirmed
	}
	if _, ok := errors.AsType[interface {
		error
		OutcomeUnknown()
	}](err); ok {
		return metrics.OutcomeUnknown
	}
	return metrics.OutcomeNotDone
}

// storeFault is an error of a store that could not answer; see tokens.Store.
type storeFault interface {
	error
	StoreFault()
}
