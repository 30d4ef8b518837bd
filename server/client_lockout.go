package server

import (
	"hash/fnv"
	"net/http"

	"github.com/grantor-auth/grantor/clients"
)

// clientRefused answers a client that did not prove itself. Only wrong credentials are counted: a
// right secret always passes, so that nobody locks out a client at the same address. A public
// client has no secret, and nothing is counted.
func (s *Server) clientRefused(x *exchange, refused *clients.AuthError) error {
	if s.cfg.ClientFailures == nil || refused.Public {
		return refused
	}
	subject := failureSubject(refused.ID, x.network())
	if wait := s.cfg.ClientFailures.Blocked(subject); wait > 0 {
		return &Error{Code: codeInvalidClient, Status: http.StatusTooManyRequests, RetryAfter: wait,
			Reason: "client_failures",
			Description: "client authentication failed too often from this address; wait as long as " +
				"Retry-After says"}
	}
	// A counter that fails must not shut out machine clients: nobody guesses a secret of 256 bits.
	if err := s.cfg.ClientFailures.Failed(x, subject); err != nil {
		s.log.ErrorContext(x, "a failed client authentication could not be counted", "request_id", x.id,
			"error", err.Error())
	}
	return refused
}

// failureCounters is how many counters all client ids share that are tried from one address.
const failureCounters = 16

// failureSubject names the counter of an id at an address. Registered and unknown ids share the
// counters, so that the counts do not tell them apart, and an attacker with many ids fills few
// keys.
func failureSubject(id, network string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // hash.Hash never returns an error
	return string(rune('a'+h.Sum32()%failureCounters)) + network
}
