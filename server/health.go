package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/tokens"
)

// healthz says that the process serves.
func healthz(x *exchange) error {
	writeJSON(x, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// readyz says that requests can be answered: the store answers, holds the server key that this node
// mints with, and no stop has begun. It reads and writes nothing.
func (s *Server) readyz(x *exchange) error {
	if err := s.Ready(x); err != nil {
		return &Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second,
			Description: "not ready; the log says why", Reason: "not_ready", Err: err}
	}
	writeJSON(x, http.StatusOK, map[string]string{"status": "ready"})
	return nil
}

// Ready returns why the server cannot serve now; nil when it can.
func (s *Server) Ready(ctx context.Context) error {
	if s.draining.Load() {
		return errors.New("stopping")
	}
	if s.cfg.Healthy != nil {
		if err := s.cfg.Healthy(); err != nil {
			return err
		}
	}
	if err := s.cfg.Store.Ping(ctx); err != nil {
		return err
	}
	// One server of a Cluster may be away with the key: the tokens on the others are still good.
	if err := s.key.Ready(ctx); errors.Is(err, tokens.ErrNoServerKey) {
		return err
	}
	if f, ok := s.cfg.Clients.(interface{ Fresh() error }); ok {
		if err := f.Fresh(); err != nil {
			return err
		}
	}
	if s.cfg.Keys != nil {
		if err := s.cfg.Keys.Ready(); err != nil {
			return err
		}
	}
	return nil
}
