package server

import (
	"errors"
	"net/http"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/metrics"
)

// change is what an operator's program, or a client with its registration token, asked for.
type change struct {
	event, client, detail string
	status                int
	answer                any // nil: 204
}

// changed writes the change to the audit trail and answers. A change that too few replicas
// confirmed was made all the same: its answer stands beside the error, because it may hold a secret
// that is shown once.
func (s *Server) changed(x *exchange, c change, err error) error {
	unconfirmed := errors.Is(err, clients.ErrNotConfirmed)
	if err != nil && !unconfirmed {
		return s.notChanged(c, err)
	}
	s.recordChange(x, c, unconfirmed)
	return answerChange(x, c, unconfirmed, err)
}

// answerChange answers a change that was made.
func answerChange(x *exchange, c change, unconfirmed bool, err error) error {
	switch {
	case unconfirmed:
		return notConfirmed(c.answer, err)
	case c.answer == nil:
		x.gin.Writer.WriteHeader(http.StatusNoContent)
		x.gin.Writer.WriteHeaderNow()
	default:
		writeJSON(x, c.status, c.answer)
	}
	return nil
}

// notChanged is the refusal of a change. Where the outcome is unknown, a fresh secret is shown: it
// may be valid.
func (s *Server) notChanged(c change, err error) error {
	e := asError(adminError(err))
	if shown, ok := c.answer.(secretShown); ok && shown.showsSecret() && e.Outcome == metrics.OutcomeUnknown {
		e.More = c.answer
	}
	return e
}

// secretShown is an answer that may show a secret.
type secretShown interface{ showsSecret() bool }

func (s *Server) recordChange(x *exchange, c change, unconfirmed bool) {
	s.recordOperation(x, audit.Change(c.event, c.client, c.detail, unconfirmed))
}

// recordOperation writes to the audit trail what an operator's program did.
func (s *Server) recordOperation(x *exchange, e audit.Event) {
	if s.cfg.Audit == nil {
		return
	}
	e.RequestID, e.Peer, e.Actor = x.id, x.clientIP(), x.actor()
	s.cfg.Audit.Record(x, e)
}
