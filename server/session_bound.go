package server

import (
	"errors"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/tokens"
)

// reasonTooMany is why a session of a user beyond [limits] sessions_per_user was ended.
const reasonTooMany = "sessions_per_user"

// endBeyond ends the sessions that a login left beyond [limits] sessions_per_user. The login
// stands, whatever comes of it: the next login of the user names again what is left.
func (s *Server) endBeyond(x *exchange, tag tokens.Tag, beyond []tokens.SessionID) {
	if len(beyond) == 0 {
		return
	}
	ended, err := s.endEach(x, tag, beyond)
	for _, id := range ended {
		s.recordEvent(x, audit.Event{Event: audit.UserChanged, Reason: reasonTooMany, Subject: tag.String(),
			Session: id.String(), Detail: audit.SessionEnded + " " + tag.String()})
	}
	if err != nil {
		s.log.WarnContext(x, "sessions beyond sessions_per_user may not have ended", "request_id", x.id,
			"subject_hash", tag.String(), "ended", len(ended), "of", len(beyond), "error", err.Error())
	}
}

// endEach ends sessions, one after the other, and returns those that this call ended. It goes on
// where too few replicas have confirmed an end, and stops where the store does not answer.
func (s *Server) endEach(x *exchange, tag tokens.Tag, ids []tokens.SessionID) (ended []tokens.SessionID, err error) {
	for _, id := range ids {
		done, failed := s.cfg.Store.EndSession(x, tag, id)
		if done {
			ended = append(ended, id)
		}
		err = errors.Join(err, failed)
		if failed != nil && outcomeOf(failed) != metrics.OutcomeNotConfirmed {
			break
		}
	}
	return ended, err
}
