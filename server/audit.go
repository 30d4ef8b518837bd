package server

import (
	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/tokens"
)

// recordEvent writes an event of a request to the audit trail.
func (s *Server) recordEvent(x *exchange, e audit.Event) {
	if s.cfg.Audit == nil {
		return
	}
	e.RequestID, e.Peer, e.Credential, e.Key = x.id, x.clientIP(), x.credential, x.shown.JKT()
	if x.client != nil {
		e.Actor, e.Client = x.client.ID, x.client.ID
	}
	s.cfg.Audit.Record(x, e)
}

// recordIssue counts and records a token that was given out.
func (s *Server) recordIssue(x *exchange, scope string) {
	s.cfg.Metrics.Issued(x.grant, x.format())
	e := audit.Event{Event: audit.TokenIssued, Grant: x.grant, Scope: scope, Token: x.issued.Name(),
		Reason: string(x.note)}
	if x.grant == clients.GrantRefreshToken {
		e.Event = audit.TokenRefreshed
	}
	if x.issued.Kind == tokens.UserAccess {
		e.Subject, e.Session = x.issued.Tag.String(), x.issued.Session.String()
	}
	if x.from != nil {
		x.exchangedEvent(&e)
	}
	s.recordEvent(x, e)
}

// recordRefusal counts a refusal of any endpoint, and writes those of token requests and of client
// authentication to the audit trail.
func (s *Server) recordRefusal(x *exchange, e *Error) {
	s.cfg.Metrics.Refused(x.endpoint, e.Code, string(x.reason))
	s.cfg.Metrics.ClientRefused(x.clientID(), x.endpoint, string(x.reason))
	if s.cfg.Audit == nil {
		return
	}
	event := audit.Event{Event: audit.TokenRefused, Grant: x.grant, Reason: string(x.reason), Client: x.claimed}
	switch {
	case x.reason == "user_locked" || x.reason == "address_locked":
		event.Event = audit.UserLockedOut
		if x.locked != "" {
			event.Subject = s.codec.Tag(x.locked).String()
		}
	case x.reason == "client_failures" || x.reason == "client_secret_failures":
		event.Event = audit.ClientLockedOut
	case x.reason == Reason(tokens.ReasonReuse), x.reason == Reason(tokens.ReasonLostRotation):
		return // reportRefusedRefresh recorded it
	case x.endpoint != "token" && e.Code != codeInvalidClient:
		return
	}
	event.Unauthenticated = x.client == nil || x.client.Public()
	s.recordEvent(x, event)
}
