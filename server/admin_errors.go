package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/users"
)

// adminError turns what the registry and the directory refuse into answers.
func adminError(err error) error {
	field, isField := errors.AsType[*clients.FieldError](err)
	inUse, isInUse := errors.AsType[*clients.InUseError](err)
	_, malformed := errors.AsType[*users.MalformedError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, clients.ErrRecord): // a stored field is none of the request's
		return err
	case errors.Is(err, clients.ErrNotConfirmed):
		return notConfirmed(nil, err)
	case isInUse:
		return &Error{Code: codeInvalidRequest, Status: http.StatusConflict, Reason: "secret_in_use",
			Description: inUse.Error() + `; wait until the older one ends, revoke the one that nobody needs, ` +
				`or insist with "force": true`}
	case isField:
		return refusal(codeInvalidMetadata, "%s", field.Error())
	case errors.Is(err, clients.ErrUnknown), errors.Is(err, users.ErrUnknown):
		return &Error{Code: codeInvalidRequest, Status: http.StatusNotFound,
			Description: "there is none of this id"}
	case errors.Is(err, clients.ErrExists), errors.Is(err, users.ErrExists):
		return &Error{Code: codeInvalidRequest, Status: http.StatusConflict,
			Description: "this id or name is taken"}
	case errors.Is(err, clients.ErrReadOnly):
		return &Error{Code: codeInvalidRequest, Status: http.StatusConflict,
			Description: clients.ErrReadOnly.Error()}
	case errors.Is(err, clients.ErrTooMany):
		return &Error{Code: codeInvalidRequest, Status: http.StatusForbidden, Reason: "registrations",
			Description: "this client has registered as many clients as [limits] registrations allows; " +
				"delete some that are not needed"}
	case errors.Is(err, clients.ErrOvertaken):
		return &Error{Code: codeInvalidRequest, Status: http.StatusConflict,
			Description: clients.ErrOvertaken.Error()}
	case malformed:
		return refusal(codeInvalidRequest, "%s", err.Error())
	}
	return err
}

// notConfirmed says that a thing was done, and that a failover may undo it.
func notConfirmed(answer any, err error) error {
	return &Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second,
		Reason: reasonNotConfirmed, Err: err, Outcome: metrics.OutcomeNotConfirmed, More: answer,
		Description: "this was done, but too few replicas of the store have confirmed it, so a failover " +
			"may undo it; it is safe to repeat it"}
}
