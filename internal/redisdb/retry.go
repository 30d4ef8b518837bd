package redisdb

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/go-redis/redis/v8"
)

// Retries are made here and not by go-redis, which returns the error of the last attempt alone:
// after a lost answer, a later refusal does not say that nothing was done.

// errLost is the error of an attempt after an earlier attempt whose answer was lost.
type errLost struct{ error }

func (e errLost) Unwrap() error { return e.error }

// withRetry runs f, and once more if a second attempt may succeed.
func withRetry(f func() error) error {
	err := f()
	if !retryable(err) {
		return err
	}
	lost := mayHaveRun(err)
	pauseBeforeRetry()
	if err = f(); lost && !conclusive(err) {
		return errLost{err}
	}
	return err
}

// sendWithRetry runs commands in one pipeline, and all of them once more where its connection
// failed: those before the failure were executed, and those behind it may have been.
func sendWithRetry(client *redis.Client, cmds []redis.Cmder) {
	ctx := context.Background()
	run := func() (failed error) {
		pipe := client.Pipeline()
		for _, cmd := range cmds {
			cmd.SetErr(nil)
			_ = pipe.Process(ctx, cmd)
		}
		_, _ = pipe.Exec(ctx)
		for _, cmd := range cmds {
			if err := cmd.Err(); err != nil && !answered(err) {
				return err
			}
		}
		return nil
	}
	err := run()
	if err == nil || !retryable(err) {
		return
	}
	lost := mayHaveRun(err)
	pauseBeforeRetry()
	_ = run()
	for _, cmd := range cmds {
		if err := cmd.Err(); lost && !conclusive(err) {
			cmd.SetErr(errLost{err})
		}
	}
}

func pauseBeforeRetry() { time.Sleep(minBackoff + rand.N(maxBackoff/4)) } // #nosec G404 -- no secret

// conclusive says whether an answer settles what happened to a command: a result, or an error of
// the command itself.
func conclusive(err error) bool {
	text, answered := reply(err)
	return err == nil || answered && !serverState(text)
}

// retryable says whether a second attempt may succeed: connections break, and servers change roles.
func retryable(err error) bool {
	if err == nil || err == redis.Nil || ignored(err) { //nolint:errorlint // v8 never wraps it, and this is the hot path
		return false
	}
	text, answered := reply(err)
	switch {
	case !answered:
		return true
	case code(text) == "LOADING", code(text) == "READONLY", code(text) == "CLUSTERDOWN", code(text) == "TRYAGAIN":
		return true
	}
	return strings.HasPrefix(text, "ERR max number of clients")
}

// mayHaveRun says whether a command that ended in err may have been executed. It was not where
// Redis refused it or was not reached.
func mayHaveRun(err error) bool {
	if err == nil || answered(err) || ignored(err) {
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return false
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return false
	}
	if errors.Is(err, io.EOF) {
		return true
	}
	return !strings.HasPrefix(err.Error(), "redis: all sentinels specified") && !strings.HasPrefix(err.Error(), "tls: failed to verify")
}
