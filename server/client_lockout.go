package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/lockout"
)

// clientRefused answers a client that did not prove itself. Only wrong credentials are counted: a
// right secret always passes, so that nobody locks out a client at the same address. A public
// client has no secret, and nothing is counted.
func (s *Server) clientRefused(x *exchange, refused *clients.AuthError) error {
	if s.cfg.ClientFailures == nil || refused.Public {
		return refused
	}
	subject := lockout.ClientSubject(refused.ID, x.network())
	if wait := s.clientBlocked(x, subject); wait > 0 {
		return &Error{Code: codeInvalidClient, Status: http.StatusTooManyRequests, RetryAfter: wait,
			Reason: "client_failures",
			Description: "client authentication failed too often from this address; wait as long as " +
				"Retry-After says"}
	}
	// A counter that fails must not shut out machine clients: nobody guesses a secret of 256 bits.
	if err := s.countClientFailure(x, refused.ID, subject); err != nil {
		s.log.ErrorContext(x, "a failed client authentication could not be counted", "request_id", x.id,
			"error", err.Error())
	}
	return refused
}

// failureNotes is what a FailureLimit may have for operators; *lockout.RateLimit has it.
type failureNotes interface {
	// Note leaves a note of a failure, for "grantor client show".
	Note(ctx context.Context, id, network string) error
	// StillBlocked is Blocked, and notices that an operator unlocked the subject.
	StillBlocked(ctx context.Context, subject string) time.Duration
}

// clientBlocked returns how long a subject is still refused.
func (s *Server) clientBlocked(x *exchange, subject string) time.Duration {
	if notes, ok := s.cfg.ClientFailures.(failureNotes); ok {
		return notes.StillBlocked(x, subject)
	}
	return s.cfg.ClientFailures.Blocked(subject)
}

// countClientFailure counts a failure, with a note that names the client and the network.
func (s *Server) countClientFailure(x *exchange, id, subject string) error {
	var noted error
	if notes, ok := s.cfg.ClientFailures.(failureNotes); ok {
		noted = notes.Note(x, id, x.network())
	}
	return errors.Join(noted, s.cfg.ClientFailures.Failed(x, subject))
}
