package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/keys"
)

// KeyManager lists and rotates the signing keys. *parts.SigningKeys is one.
type KeyManager interface {
	List(ctx context.Context) ([]keys.Info, error)
	// Rotate reports whether that changed anything: a rotation that is under way is not begun
	// again. With clients.ErrNotConfirmed it did.
	Rotate(ctx context.Context, compromised bool) (changed bool, err error)
}

// managedSigningKeys refuses where nothing signs JWTs.
func (s *Server) managedSigningKeys(*exchange) error {
	if s.cfg.SigningKeys != nil {
		return nil
	}
	return &Error{Code: codeInvalidRequest, Status: http.StatusConflict,
		Description: "there are no signing keys: set [keys] encryption_key"}
}

func (s *Server) listSigningKeys(x *exchange) error {
	list, err := s.cfg.SigningKeys.List(x)
	if err != nil {
		return err
	}
	writeJSON(x, http.StatusOK, map[string]any{"keys": list})
	return nil
}

// rotateSigningKeys has the next keys sign. Nodes follow within seconds.
func (s *Server) rotateSigningKeys(x *exchange) error {
	var ask struct {
		Compromised bool `json:"compromised"`
	}
	if err := x.decode(&ask); err != nil {
		return err
	}
	changed, err := s.cfg.SigningKeys.Rotate(x, ask.Compromised)
	c := change{event: audit.KeysRotated, detail: audit.RotationAsked(ask.Compromised), status: http.StatusOK,
		answer: map[string]bool{"changed": changed}}
	if !changed && (err == nil || errors.Is(err, clients.ErrNotConfirmed)) {
		return answerChange(x, c, err != nil, err)
	}
	return s.changed(x, c, err)
}
