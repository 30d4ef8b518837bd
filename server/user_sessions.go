package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/tokens"
)

// The endpoints by which an app shows a user their sessions and ends them, with the user's own
// token. Each acts within the sessions of the token's user: the id of another user's session finds
// nothing there, as an unknown one does.

// ownSession is a session as its user sees it.
type ownSession struct {
	ID       string    `json:"id"`
	Client   string    `json:"client_name"`
	Device   string    `json:"device_name,omitempty"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used"`
	Expires  time.Time `json:"expires"`
	Address  string    `json:"address,omitempty"`
	Current  bool      `json:"current"`
}

// listOwnSessions shows a user's sessions, the newest first.
func (s *Server) listOwnSessions(x *exchange) error {
	me := x.asking.token
	found, err := s.cfg.Store.Sessions(x, me.Tag)
	if err != nil {
		return err
	}
	list := []ownSession{}
	for _, f := range found {
		client, err := s.cfg.Clients.Get(x, f.ClientID)
		switch {
		case errors.Is(err, clients.ErrUnknown):
			continue
		case err != nil:
			return err
		case !s.usable(f, client):
			continue
		}
		list = append(list, ownSession{ID: f.ID.String(), Client: nameOf(client), Device: f.Device,
			Created: second(f.Created), LastUsed: second(f.LastUsed), Expires: second(f.Expires),
			Address: f.Address, Current: f.ID == me.Session})
	}
	writeJSON(x, http.StatusOK, map[string]any{"sessions": list})
	return nil
}

// usable says whether a session can still be used, by what its client and the configuration say.
func (s *Server) usable(f *tokens.Session, c *clients.Client) bool {
	return !c.Disabled && c.Epoch == f.ClientEpoch && c.MayUse(clients.GrantPassword) &&
		!f.Created.Before(s.cfg.NotBefore)
}

func nameOf(c *clients.Client) string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// endOwnSession ends one session of a user.
func (s *Server) endOwnSession(x *exchange) error {
	if err := plainDelete(x, len(x.gin.Request.URL.RawQuery) > 0); err != nil {
		return err
	}
	tag := x.asking.token.Tag
	id, wellFormed := tokens.ParseSessionID(x.gin.Param("id"))
	ended := false
	if wellFormed {
		var err error
		ended, err = s.cfg.Store.EndSession(x, tag, id)
		if ended {
			s.recordOwnEnd(x, audit.SessionEnded, id.String(), err)
		}
		if err != nil {
			return err
		}
	}
	if !ended {
		return &Error{Code: codeInvalidRequest, Status: http.StatusNotFound, Reason: "unknown_session",
			Description: "the user has no such session; GET " + pathSessions + " lists them"}
	}
	x.noContent()
	return nil
}

// endOwnSessions ends every session of a user, or with keep=current all but the one that asks.
func (s *Server) endOwnSessions(x *exchange) error {
	query := x.gin.Request.URL.RawQuery
	if err := plainDelete(x, query != "" && query != "keep=current"); err != nil {
		return err
	}
	tag := x.asking.token.Tag
	if query != "" {
		return s.endOthers(x, tag, x.asking.token.Session)
	}
	err := s.cfg.Store.EndUser(x, tag)
	if err == nil || errors.Is(err, clients.ErrNotConfirmed) {
		s.recordOwnEnd(x, audit.SessionsEnded, "", err)
	}
	if err == nil {
		x.noContent()
	}
	return err
}

// endOthers ends the sessions that a user has now, but for one. Each end is recorded.
func (s *Server) endOthers(x *exchange, tag tokens.Tag, kept tokens.SessionID) error {
	found, err := s.cfg.Store.Sessions(x, tag)
	if err != nil {
		return err
	}
	var others []tokens.SessionID
	for _, f := range found {
		if f.ID != kept {
			others = append(others, f.ID)
		}
	}
	ended, err := s.endEach(x, tag, others)
	for _, id := range ended {
		s.recordOwnEnd(x, audit.SessionEnded, id.String(), err)
	}
	if err == nil {
		x.noContent()
	}
	return err
}

// plainDelete refuses what a DELETE does not read. A misspelt keep=current, or one in the body,
// must not end the session that should stay.
func plainDelete(x *exchange, query bool) error {
	switch r := x.gin.Request; {
	case query:
		return refusal(codeInvalidRequest, "the query must be absent; DELETE "+pathSessions+" also takes keep=current")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return refusal(codeInvalidRequest, "send no body: DELETE "+pathSessions+" takes keep=current in the query")
	}
	return nil
}

// recordOwnEnd writes an end by the user to the audit trail; err is why it may not last.
func (s *Server) recordOwnEnd(x *exchange, detail, session string, err error) {
	if s.cfg.Audit == nil {
		return
	}
	tag := x.asking.token.Tag.String()
	e := audit.Change(audit.UserChanged, x.asking.client.ID, detail+" "+tag, err != nil)
	e.RequestID, e.Peer, e.Actor, e.Subject, e.Session = x.id, x.clientIP(), audit.ActorUser, tag, session
	s.cfg.Audit.Record(x, e)
}

// noContent is the answer 204.
func (x *exchange) noContent() {
	x.gin.Writer.WriteHeader(http.StatusNoContent)
	x.gin.Writer.WriteHeaderNow()
}
