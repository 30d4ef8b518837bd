package server

import (
	"errors"
	"net/http"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/middleware"
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
	if s.cfg.Audit == nil {
		return
	}
	e := audit.Change(c.event, c.client, c.detail, unconfirmed)
	e.RequestID, e.Peer = x.id, x.clientIP()
	if t := middleware.TokenFrom(x.gin.Request.Context()); t != nil {
		e.Actor = t.ClientID
	}
	s.cfg.Audit.Record(x, e)
}
