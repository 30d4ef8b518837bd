package redisdb

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-redis/redis/v8"
)

// Errors of commands. Apart from ErrNil none of them says anything about a key: whoever asked
// must not take it for a "no".
var (
	// ErrNil: there is no such key.
	ErrNil = errors.New("redis: no such key")
	// ErrUnavailable: Redis was not reached, or answered that it cannot serve now. It may be
	// tried again. A write was not done, unless the error is one of the next two, which wrap this
	// one.
	ErrUnavailable error = fault("redis is unavailable")
	// ErrOutcomeUnknown: the answer to a write was lost, so nobody knows whether it was done.
	ErrOutcomeUnknown error = outcomeUnknown{fmt.Errorf("%w: whether the write was done is not known", ErrUnavailable)}
	// ErrNotDurable: done, but fewer replicas confirmed it than were asked for: a failover could
	// undo it.
	ErrNotDurable error = notConfirmed{fmt.Errorf("%w: the write is done, but too few replicas confirmed it", ErrUnavailable)}
	// ErrBusy: more commands wait for Redis than is sensible. It was not sent. It wraps
	// ErrUnavailable.
	ErrBusy = fmt.Errorf("%w: too many commands are waiting", ErrUnavailable)
	// ErrRefused: Redis answered with an error that waiting does not mend, such as a key of another
	// type or an error of a script.
	ErrRefused error = fault("redis refused the command")

	errClosed = fmt.Errorf("%w: closed", ErrUnavailable)
)

// fault is an error of Redis itself, and not of a program.
type fault string

func (f fault) Error() string { return string(f) }

// StoreFault says to those who do not know Redis that the store failed; see tokens.Store.
func (fault) StoreFault() {}

// outcomeUnknown and notConfirmed say by their methods what became of a write to those who do not
// know Redis.
type (
	outcomeUnknown struct{ error }
	notConfirmed   struct{ error }
)

func (e outcomeUnknown) Unwrap() error { return e.error }
func (outcomeUnknown) OutcomeUnknown() {}
func (e notConfirmed) Unwrap() error   { return e.error }
func (notConfirmed) NotConfirmed()     {}

// wrapRead is wrap for reads, whose outcome is never unknown.
func wrapRead(err error) error {
	if err == nil || err == redis.Nil { //nolint:errorlint // as in wrap
		return wrap(err)
	}
	if lost, ok := err.(errLost); ok { //nolint:errorlint // as it comes from twice
		err = lost.error
	}
	if mayHaveRun(err) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return wrap(err)
}

// wrap turns an error of go-redis into one of ours. The text of the cause stays, for logs;
// neither go-redis nor Redis puts passwords into it.
func wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case err == redis.Nil: //nolint:errorlint // v8 never wraps it, and this is the hot path
		return ErrNil
	}
	if lost, ok := errors.AsType[errLost](err); ok || mayHaveRun(err) && !errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, cmp.Or(lost.error, err))
	}
	text, answered := reply(err)
	switch {
	case errors.Is(err, ErrUnavailable):
		return err
	case !answered:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case serverState(text):
		return &answerError{ErrUnavailable, text}
	}
	return &answerError{ErrRefused, text}
}

// answerError is an error that Redis answered.
type answerError struct {
	kind error
	text string
}

func (e *answerError) Error() string { return e.kind.Error() + ": " + e.text }
func (e *answerError) Unwrap() error { return e.kind }

// OnlyReads says whether a server refused a write because of its own state, and still answers
// reads.
func OnlyReads(err error) bool {
	e, ok := errors.AsType[*answerError](err)
	if !ok || errors.Is(err, ErrOutcomeUnknown) {
		return false
	}
	word := code(e.text)
	if _, quoted, found := strings.Cut(e.text, ": -"); found {
		word = code(quoted)
	}
	return slices.Contains([]string{"OOM", "NOREPLICAS", "MISCONF", "READONLY"}, word)
}

// reply returns the error that Redis answered, without the arguments that Redis quotes of an
// unknown command.
func reply(err error) (text string, answered bool) {
	if err == nil {
		return "", false // before r, which is on the heap
	}
	var r redis.Error
	if !errors.As(err, &r) {
		return "", false
	}
	text, _, _ = strings.Cut(r.Error(), ", with args beginning with")
	return text, true
}

// serverState says whether an answer is about Redis's own state, a right that the operator must
// grant, or the layout of the cluster, and not about the command.
func serverState(text string) bool {
	if slices.Contains(states, code(text)) {
		return true
	}
	if strings.HasPrefix(text, "ERR max number of clients") || strings.HasPrefix(text, "ERR AUTH") || strings.HasPrefix(text, "ERR Client sent AUTH") {
		return true
	}
	// Before Redis 7 a script's error quotes the command's: "ERR Error running script …: -OOM
	// command not allowed".
	_, quoted, ok := strings.Cut(text, ": -")
	return ok && slices.Contains(states, code(quoted))
}

// states are the codes of answers that are about Redis itself.
var states = []string{"LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "OOM", "NOREPLICAS", "MISCONF", "BUSY", "UNKILLABLE",
	"TRYAGAIN", "MOVED", "ASK", "NOAUTH", "WRONGPASS", "NOPERM", "EXECABORT"}

// code is the first word of an answer.
func code(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}

func isReply(err error, want string) bool {
	text, answered := reply(err)
	return answered && code(text) == want
}
