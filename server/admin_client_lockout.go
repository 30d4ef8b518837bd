package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/lockout"
)

// clientFailureCounts is what a FailureLimit may tell an operator; *lockout.RateLimit does.
type clientFailureCounts interface {
	// Networks returns from where the authentication of a client failed.
	Networks(ctx context.Context, id string) ([]lockout.Budget, error)
	// Unlock forgets these failures, and returns how many there were.
	Unlock(ctx context.Context, id string) (int, error)
}

// shownClientLockout is from where the authentication of a client failed.
type shownClientLockout struct {
	ClientID string                `json:"client_id"`
	Locked   bool                  `json:"locked"` // somewhere
	Failures []lockout.ShownBudget `json:"failures"`
	// SlowFailures are those of secrets that a slow hash keeps, from all addresses together.
	SlowFailures []lockout.ShownBudget `json:"slow_failures,omitempty"`
}

func (s *Server) showClientLockout(x *exchange) error {
	id := x.gin.Param("id")
	if _, err := s.cfg.Manager.Get(x, id); err != nil {
		return adminError(err)
	}
	shown := shownClientLockout{ClientID: id, Failures: []lockout.ShownBudget{}}
	if counts, ok := s.cfg.ClientFailures.(clientFailureCounts); ok {
		list, err := counts.Networks(x, id)
		if err != nil {
			return err
		}
		for _, b := range list {
			shown.Failures, shown.Locked = append(shown.Failures, lockout.Show(b)), shown.Locked || b.Locked > 0
		}
	}
	if s.cfg.SecretLockout != nil {
		list, err := s.cfg.SecretLockout.Budgets(x, lockout.ClientKey(id))
		if err != nil {
			return err
		}
		for _, b := range list {
			shown.SlowFailures, shown.Locked = append(shown.SlowFailures, lockout.Show(b)), shown.Locked || b.Locked > 0
		}
	}
	writeJSON(x, http.StatusOK, shown)
	return nil
}

// unlockClient forgets from where the authentication of a client failed.
func (s *Server) unlockClient(x *exchange) error {
	id := x.gin.Param("id")
	if _, err := s.cfg.Manager.Get(x, id); err != nil {
		return adminError(err)
	}
	n, err := s.forgetFailures(x, id)
	if n > 0 {
		s.recordChange(x, change{event: audit.ClientChanged, client: id, detail: audit.Unlocked}, err != nil)
	}
	if err != nil {
		return err
	}
	x.gin.Writer.WriteHeader(http.StatusNoContent)
	x.gin.Writer.WriteHeaderNow()
	return nil
}

// forgetFailures returns how many failed authentications of a client it forgot.
func (s *Server) forgetFailures(ctx context.Context, id string) (n int, err error) {
	if counts, ok := s.cfg.ClientFailures.(clientFailureCounts); ok {
		n, err = counts.Unlock(ctx, id)
	}
	if s.cfg.SecretLockout != nil {
		more, failed := s.cfg.SecretLockout.Unlock(ctx, lockout.ClientKey(id))
		n, err = n+more, errors.Join(err, failed)
	}
	return n, err
}
