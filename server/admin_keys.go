package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/apikeys"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/tokens"
)

// madeKey is the answer that shows an API key, once.
type madeKey struct {
	ClientID string `json:"client_id"`
	*apikeys.Key
	Text string `json:"api_key,omitempty"`
}

func (m madeKey) showsSecret() bool { return m.Text != "" }

// createKey makes an API key of a client.
func (s *Server) createKey(x *exchange) error {
	var body struct {
		Name     string           `json:"name"`
		Scope    string           `json:"scope"`
		Expires  clients.Duration `json:"expires_in"`
		NoExpiry bool             `json:"no_expiry"`
		Networks []string         `json:"allowed_networks"`
	}
	if err := x.decode(&body); err != nil {
		return err
	}
	ask := apikeys.Ask{Name: body.Name, Scope: body.Scope, TTL: time.Duration(body.Expires), NoExpiry: body.NoExpiry,
		Networks: body.Networks, Creator: x.actor()}
	id := x.gin.Param("id")
	text, k, err := s.cfg.APIKeys.Create(x, id, ask)
	if k == nil {
		return keyError(err)
	}
	c := change{event: audit.KeyCreated, client: id, detail: k.Name, status: http.StatusCreated, answer: madeKey{id, k, text}}
	return s.keyChanged(x, c, k, err)
}

func (s *Server) listKeys(x *exchange) error {
	list, err := s.cfg.APIKeys.List(x, x.gin.Param("id"))
	if err != nil {
		return keyError(err)
	}
	writeJSON(x, http.StatusOK, map[string]any{"keys": list})
	return nil
}

func (s *Server) showKey(x *exchange) error {
	k, err := s.cfg.APIKeys.Get(x, x.gin.Param("id"), x.gin.Param("key"))
	if err != nil {
		return keyError(err)
	}
	writeJSON(x, http.StatusOK, k)
	return nil
}

func (s *Server) revokeKey(x *exchange) error {
	id := x.gin.Param("id")
	k, err := s.cfg.APIKeys.Revoke(x, id, x.gin.Param("key"))
	if k == nil {
		return keyError(err)
	}
	return s.keyChanged(x, change{event: audit.KeyRevoked, client: id, detail: k.Name}, k, err)
}

func (s *Server) revokeKeys(x *exchange) error {
	id := x.gin.Param("id")
	ended, err := s.cfg.APIKeys.RevokeAll(x, id)
	unconfirmed := errors.Is(err, clients.ErrNotConfirmed)
	for _, k := range ended {
		s.recordKey(x, change{event: audit.KeyRevoked, client: id, detail: k.Name}, k, unconfirmed)
	}
	if err != nil {
		return keyError(err)
	}
	x.gin.Writer.WriteHeader(http.StatusNoContent)
	x.gin.Writer.WriteHeaderNow()
	return nil
}

// keyChanged answers a change of a key, as changed does.
func (s *Server) keyChanged(x *exchange, c change, k *apikeys.Key, err error) error {
	unconfirmed := errors.Is(err, clients.ErrNotConfirmed)
	if err != nil && !unconfirmed {
		return s.notChanged(c, keyError(err))
	}
	s.recordKey(x, c, k, unconfirmed)
	return answerChange(x, c, unconfirmed, err)
}

func (s *Server) recordKey(x *exchange, c change, k *apikeys.Key, unconfirmed bool) {
	e := audit.Change(c.event, c.client, c.detail, unconfirmed)
	e.Token, e.Scope = k.ID, k.Scope
	s.recordOperation(x, e)
}

// keyError turns what the keys refuse into answers.
func keyError(err error) error {
	_, asked := errors.AsType[*apikeys.AskError](err)
	switch {
	case asked:
		return refusal(codeInvalidRequest, "%s", err.Error())
	case errors.Is(err, tokens.ErrNoSuchKey):
		return &Error{Code: codeInvalidRequest, Status: http.StatusNotFound, Description: err.Error()}
	case errors.Is(err, tokens.ErrTooManyKeys):
		return &Error{Code: codeInvalidRequest, Status: http.StatusConflict, Reason: "too_many_keys", Description: err.Error()}
	}
	return adminError(err)
}

// managedKeys refuses keys where nobody manages them.
func (s *Server) managedKeys(*exchange) error {
	if s.cfg.APIKeys != nil {
		return nil
	}
	return &Error{Code: codeInvalidRequest, Status: http.StatusConflict,
		Description: `API keys are kept in Redis alone: use store = "redis"`}
}
