package server

import (
	"errors"
	"net/http"

	"github.com/grantor-auth/grantor/clients"
)

// tokenBody names a token, in a body: a URL would stand in logs.
type tokenBody struct {
	Token  string `json:"token"`
	Caller string `json:"caller"` // explain: the client that introspects
}

// decodeToken reads the body of a request about a token.
func (x *exchange) decodeToken() (b tokenBody, err error) {
	if err = x.decode(&b); err == nil && b.Token == "" {
		err = refusal(codeInvalidRequest, "token is required")
	}
	return b, err
}

// explainToken says what a token is and why it is not active.
func (s *Server) explainToken(x *exchange) error {
	b, err := x.decodeToken()
	if err != nil {
		return err
	}
	e, err := s.Explain(x, b.Token, b.Caller)
	if errors.Is(err, clients.ErrUnknown) {
		return refusal(codeInvalidRequest, "caller must be the id of a client")
	}
	if err != nil {
		return err
	}
	writeJSON(x, http.StatusOK, e)
	return nil
}

// revokeAnyToken ends a token of any client (RFC 7009 §2, for an operator).
func (s *Server) revokeAnyToken(x *exchange) error {
	b, err := x.decodeToken()
	if err != nil {
		return err
	}
	if b.Caller != "" {
		return refusal(codeInvalidRequest, "caller is for explain alone")
	}
	v, err := s.RevokeAsOperator(x, b.Token)
	unconfirmed := errors.Is(err, clients.ErrNotConfirmed)
	if v != nil && v.Ended {
		s.cfg.Metrics.Revoked(true)
		e := v.Event(err != nil)
		e.RequestID, e.Peer, e.Actor = x.id, x.clientIP(), x.actor()
		s.cfg.Audit.Record(x, e)
	}
	switch {
	case unconfirmed:
		return notConfirmed(v, err)
	case err != nil:
		return adminError(err)
	}
	writeJSON(x, http.StatusOK, v)
	return nil
}
