package server

import (
	"errors"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/tokens"
)

// reportRefresh counts a refresh that succeeded, and reports what is not the usual case.
func (s *Server) reportRefresh(x *exchange, old tokens.Token, rotated *tokens.Rotated) {
	switch {
	case rotated.Reissued:
		s.cfg.Metrics.Refreshed(metrics.RefreshReissued)
		x.note = "retry_after_outage"
	case rotated.RetryResponse == nil:
		s.cfg.Metrics.Refreshed(metrics.RefreshRotated)
	case !rotated.Suspicious:
		s.cfg.Metrics.Refreshed(metrics.RefreshRetried)
	default:
		s.cfg.Metrics.Refreshed(metrics.RefreshSuspicious)
		s.recordEvent(x, audit.Event{Event: audit.RetrySuspicious, Subject: old.Tag.String(), Session: old.Session.String()})
		s.log.WarnContext(x, "suspicious retry of a refresh: from another network, or late", "request_id", x.id,
			"client_id", x.client.ID, "session", old.Session.String(), "peer", x.clientIP())
	}
}

// reportRefusedRefresh counts a refresh that the store's script refused, and reports a session that
// the script ended.
func (s *Server) reportRefusedRefresh(x *exchange, old tokens.Token, err error) {
	g, ok := errors.AsType[*tokens.GrantError](err)
	if !ok {
		return
	}
	event := ""
	switch g.Reason {
	case tokens.ReasonReuse: // a thief may have used the token
		s.cfg.Metrics.Refreshed(metrics.RefreshReuse)
		event = audit.ReuseDetected
	case tokens.ReasonLostRotation:
		s.cfg.Metrics.Refreshed(metrics.RefreshRotationLost)
		event = audit.RotationLost
	default:
		s.cfg.Metrics.Refreshed(metrics.RefreshRefused)
		return
	}
	s.recordEvent(x, audit.Event{Event: event, Reason: string(g.Reason), Subject: old.Tag.String(), Session: old.Session.String()})
	s.log.WarnContext(x, "a session was ended", "reason", string(g.Reason), "request_id", x.id, "client_id", x.client.ID,
		"session", old.Session.String(), "peer", x.clientIP(), "end_confirmed", g.Unconfirmed == nil)
}
