package server

import (
	"hash/fnv"
	"net/http"

	"github.com/grantor-auth/grantor/clients"
)

// clientRefused answers who did not prove a client. Failures are counted when a credential was found wrong and not before: a
// right one always passes, so that nobody locks a client out who shares an address with it. A client without a secret has
// none to guess, and nothing is counted for it.
func (s *Server) clientRefused(x *exchange, refused *clients.AuthError) error {
	if s.cfg.ClientFailures == nil || refused.Public {
		return refused
	}
	subject := failureSubject(refused.ID, x.network())
	if wait := s.cfg.ClientFailures.Blocked(subject); wait > 0 {
		return &Error{Code: codeInvalidClient, Status: http.StatusTooManyRequests, RetryAfter: wait, Reason: "client_failures",
			Description: "client authentication failed too often from this address; wait as long as Retry-After says"}
	}
	// A counter that cannot count must not shut out machine clients, whose secrets cannot be guessed anyway.
	if err := s.cfg.ClientFailures.Failed(x, subject); err != nil {
		s.log.ErrorContext(x, "a failed client authentication could not be counted", "request_id", x.id, "error", err.Error())
	}
	return refused
}

// failureCounters is how many counters all client ids share that are tried from one address.
const failureCounters = 16

// failureSubject names the counter of an id at an address. Registered and unknown ids share the counters, so the counts do not
// tell the one from the other, and who tries many ids fills few keys.
func failureSubject(id, network string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // hash.Hash never returns an error
	return string(rune('a'+h.Sum32()%failureCounters)) + network
}
