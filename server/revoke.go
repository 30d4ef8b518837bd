package server

import (
	"errors"
	"net/http"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/tokens"
)

// revoke ends a token of the client that asks (RFC 7009 §2). Any other text is answered alike: 200
// without effect. A store that cannot revoke is an error, never 200.
func (s *Server) revoke(x *exchange) error {
	text := x.form.Get("token")
	if text == "" {
		return refusal(codeInvalidRequest, "token is required (RFC 7009 §2.1)")
	}
	t, err := s.read(x, text)
	if err != nil && !errors.Is(err, tokens.ErrNotOurs) {
		return err
	}
	if err == nil {
		ended, err := s.cfg.Store.Revoke(x, t, x.client.ID)
		if ended || err == nil { // what ended has ended, whether or not it is confirmed
			s.recordRevocation(x, t, ended)
		}
		if err == nil && !ended {
			err = s.endUnrecorded(x, t, text)
		}
		if err != nil {
			return err
		}
	}
	x.write(http.StatusOK, []byte("{}"))
	return nil
}

func (s *Server) recordRevocation(x *exchange, t tokens.Token, ended bool) {
	s.cfg.Metrics.Revoked(ended)
	if !ended {
		return
	}
	e := audit.Event{Event: audit.TokenRevoked}
	if t.Kind == tokens.Refresh {
		e.Session = t.Session.String()
	} else {
		e.Token = t.Name()
	}
	switch t.Kind {
	case tokens.ClientKey:
		e.Event = audit.KeyRevoked
	case tokens.UserAccess, tokens.Refresh:
		e.Subject = t.Tag.String()
	}
	s.recordEvent(x, e)
}
