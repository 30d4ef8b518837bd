package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	oautherrors "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/internal/printable"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// Codes of the registry (RFC 6749 §11.4, RFC 8707 §5.3) that we answer with.
const (
	codeInvalidRequest       = "invalid_request"
	codeInvalidClient        = "invalid_client"
	codeInvalidGrant         = "invalid_grant"
	codeUnauthorizedClient   = "unauthorized_client"
	codeUnsupportedGrantType = "unsupported_grant_type"
	codeInvalidScope         = "invalid_scope"
	codeInvalidTarget        = "invalid_target"
	codeInvalidMetadata      = "invalid_client_metadata" // RFC 7591 §3.2.2
	codeServerError          = "server_error"
	codeUnavailable          = "temporarily_unavailable"
)

// Error is a refusal: a code for programs, a sentence for the client's developer, a
// reason for the log (RFC 6749 §5.2). The cause is never sent.
type Error struct {
	Code        string
	Description string        // what was wrong and what would be right; nothing of the request in it
	Status      int           // 0: 400
	RetryAfter  time.Duration // 0: no header
	Reason      string        // for the log: unknown_client, wrong_secret, …
	Err         error         // for the log
	Outcome     string        // of a change that the store could not do or not confirm: metrics.OutcomeNotDone and so on; "": not said
	More        any           // an object whose members stand beside the error: what was done all the same; nil: nothing
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

// asError is the one table from errors of other packages to answers. What is not in it is our own fault and never the
// client's: 503, so that nobody throws good tokens away. Faults of the directory and the store come first: what they
// wrap is no mistake of the client's, whatever sentinel it is. A mistake in what a request says is refused where the
// request is read: the same mistake in what is stored is none of the client's.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e := faultOf(err); e != nil {
		return e
	}
	if e, ok := errors.AsType[*clients.AuthError](err); ok {
		return &Error{Code: codeInvalidClient, Description: e.Error(), Reason: string(e.Reason)}
	}
	if errors.Is(err, clients.ErrStale) || errors.Is(err, keys.ErrUnconfirmed) {
		return &Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Reason: "not_current", Err: err,
			Description: "nothing was done: this server cannot confirm what it knows at the moment; try again"}
	}
	if e, ok := errors.AsType[*clients.CredentialsError](err); ok {
		if errors.Is(e, clients.ErrAmbiguous) {
			return refusal(codeInvalidRequest, "%s", e.Sentence)
		}
		return &Error{Code: codeInvalidClient, Description: e.Sentence, Reason: "no_credentials"}
	}
	if e, ok := errors.AsType[*tokens.GrantError](err); ok {
		return &Error{Code: codeInvalidGrant, Description: "the grant is not valid any more: log in again", Reason: string(e.Reason)}
	}
	switch {
	case errors.Is(err, users.ErrBusy):
		return &Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Reason: "password_slots_busy",
			Description: "too many passwords are being checked at this moment; try again"}
	case errors.Is(err, oautherrors.ErrInvalidClient):
		return refusal(codeInvalidClient, "client authentication failed")
	case errors.Is(err, oautherrors.ErrUnsupportedGrantType):
		return refusal(codeUnsupportedGrantType, "this grant type is not served here")
	case errors.Is(err, oautherrors.ErrUnauthorizedClient):
		return refusal(codeUnauthorizedClient, "this client may not use this grant type")
	case errors.Is(err, oautherrors.ErrInvalidScope):
		return refusal(codeInvalidScope, "this client may not have this scope")
	case errors.Is(err, oautherrors.ErrInvalidGrant):
		return refusal(codeInvalidGrant, "the grant is not valid")
	case errors.Is(err, oautherrors.ErrInvalidRequest):
		return refusal(codeInvalidRequest, "the request is malformed")
	}
	return unavailable(err, "internal", "this server could not do what was asked; try again")
}

func unavailable(err error, reason, description string) *Error {
	return &Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Reason: reason, Err: err, Description: description}
}

// faultOf names the directory or the store where one of them failed; nil: neither did. The cause is for the log alone.
func faultOf(err error) *Error {
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
	}
	_, outside := errors.AsType[*users.DirectoryError](err)
	fault, inStore := errors.AsType[storeFault](err)
	switch {
	case is(users.ErrRecord):
		return unavailable(err, "directory_answer_invalid", "nothing was done: the directory of users gave no usable answer; try again")
	case is(users.ErrUnavailable) && (outside || !inStore): // the directory in Redis fails as the store does
		return unavailable(err, "directory_unavailable", "nothing was done: the directory of users does not answer; try again")
	case is(tokens.ErrRecord, clients.ErrRecord, keys.ErrRecord):
		return unavailable(err, "store_record_invalid", "the token store gave no usable answer; try again")
	case is(tokens.ErrFull, lockout.ErrFull):
		return unavailable(err, "store_full", "the token store is full; try again")
	}
	if is(assertions.ErrKeysUnavailable, jwt.ErrCrowded) {
		return unavailable(err, "keys_unavailable", "the keys that this client's assertions are signed by cannot be fetched; try again")
	}
	if fault != nil && !is(clients.ErrStale, keys.ErrUnconfirmed) {
		return storeFaultOf(err)
	}
	return nil
}

// storeFaultOf tells apart what a store that failed means: nothing was done; it was, and a failover could undo it; nobody knows. The
// next attempt is right after each.
func storeFaultOf(err error) *Error {
	e := unavailable(err, "store_unavailable", "nothing was done: the token store does not answer; try again")
	e.Outcome = outcomeOf(err)
	switch e.Outcome {
	case metrics.OutcomeNotConfirmed:
		e.Reason = reasonNotConfirmed
		e.Description = "this is done, but too few replicas of the token store have confirmed it, so that a failover could undo it; it is safe to ask again"
	case metrics.OutcomeUnknown:
		e.Reason = "outcome_unknown"
		e.Description = "the token store's answer was lost, so whether this was done is not known; it is safe to ask again"
	}
	return e
}

// outcomeOf says what became of an operation of the store: "" without an error, else one of the metrics.Outcome….
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

// refuse is the only place that answers an error.
func (s *Server) refuse(x *exchange, err error) {
	e := asError(err)
	x.reason = e.Reason
	if x.reason == "" {
		x.reason = e.Code
	}
	s.recordRefusal(x, e)
	x.cause = e.Err
	h := x.gin.Writer.Header()
	h.Set("Cache-Control", "no-store")
	status := e.Status
	if e.Code == codeInvalidClient {
		if status == 0 {
			status = http.StatusUnauthorized
		}
		h.Set("WWW-Authenticate", `Basic realm="grantor", charset="UTF-8"`) // RFC 6749 §5.2
	}
	if status == 0 {
		status = http.StatusBadRequest
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.retryAfter()+time.Second-1)/time.Second)))
	}
	writeJSON(x, status, e.body())
}

// retryAfter is when to ask again. All who were refused by one outage must not come back in one second.
func (e *Error) retryAfter() time.Duration {
	if e.Status != http.StatusServiceUnavailable {
		return e.RetryAfter
	}
	return e.RetryAfter + time.Duration(rand.IntN(retrySpread))*time.Second // #nosec G404 -- no secret
}

// retrySpread is over how many seconds those come back who were answered 503: well within any retry window.
const retrySpread = 4

// body is the answer: RFC 6749 §5.2 allows more members.
func (e *Error) body() any {
	plain := struct {
		Code        string `json:"error"`
		Description string `json:"error_description,omitempty"`
		Outcome     string `json:"outcome,omitempty"`
	}{e.Code, describable(e.Description), e.Outcome}
	text, err := json.Marshal(e.More)
	more := map[string]any{}
	if e.More == nil || err != nil || json.Unmarshal(text, &more) != nil {
		return plain
	}
	more["error"], more["error_description"] = plain.Code, plain.Description
	if plain.Outcome != "" {
		more["outcome"] = plain.Outcome
	}
	return more
}

// describable keeps a description to the characters that RFC 6749 §5.2 allows, and secrets out of it.
func describable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '§':
			return -1
		case r == '\\' || r < 0x20 || r > 0x7e:
			return '?'
		}
		return r
	}, strings.ReplaceAll(printable.Redact(text), "§", "section "))
}

// writeJSON writes the whole answer, once.
func writeJSON(x *exchange, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	x.write(status, text)
}

// write writes a JSON text as the whole answer, once.
func (x *exchange) write(status int, text []byte) {
	h := x.gin.Writer.Header()
	h["Content-Type"] = x.fixed.json
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	x.gin.Writer.WriteHeader(status)
	_, _ = x.gin.Writer.Write(text) // a client that has gone cannot be told
}

// panicSite names the functions above a panic. The value itself stays out of the log: it may hold
// anything.
func panicSite() string {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(5, pcs)])
	var site strings.Builder
	for {
		f, more := frames.Next()
		fmt.Fprintf(&site, "%s:%d ", f.Function, f.Line)
		if !more {
			return site.String()
		}
	}
}
