package server

import (
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/tokens"
)

// shownSession is a session in an answer.
type shownSession struct {
	Session  string    `json:"session"`
	ClientID string    `json:"client_id"`
	Device   string    `json:"device_name,omitempty"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used"`
	Expires  time.Time `json:"expires"`
	Address  string    `json:"address"`
	Scope    string    `json:"scope"`
}

func (s *Server) listSessions(x *exchange) error {
	found, err := s.cfg.Store.Sessions(x, s.codec.Tag(x.gin.Param("sub")))
	if err != nil {
		return err
	}
	list := []shownSession{}
	for _, f := range found {
		list = append(list, shownSession{f.ID.String(), f.ClientID, f.Device,
			f.Created.UTC(), f.LastUsed.UTC(), f.Expires.UTC(), f.Address, f.Scope})
	}
	writeJSON(x, http.StatusOK, map[string]any{"sessions": list})
	return nil
}

func (s *Server) endSessions(x *exchange) error {
	tag := s.codec.Tag(x.gin.Param("sub"))
	err := s.cfg.Store.EndUser(x, tag)
	c := change{event: audit.UserChanged, detail: audit.SessionsEnded + " " + tag.String()}
	return s.changed(x, c, err)
}

func (s *Server) endSession(x *exchange) error {
	id, ok := tokens.ParseSessionID(x.gin.Param("session"))
	if !ok {
		return refusal(codeInvalidRequest, "this is no session id: a list of sessions shows them")
	}
	tag := s.codec.Tag(x.gin.Param("sub"))
	ended, err := s.cfg.Store.EndSession(x, tag, id)
	switch {
	case !ended && err != nil:
		return adminError(err)
	case !ended:
		return &Error{Code: codeInvalidRequest, Status: http.StatusNotFound,
			Description: "the user has no such session"}
	}
	c := change{event: audit.UserChanged, detail: audit.SessionEnded + " " + tag.String()}
	return s.changed(x, c, err)
}
