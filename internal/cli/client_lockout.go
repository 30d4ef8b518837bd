package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/internal/parts"
)

// failures reads and forgets the failed authentications of clients; nil: they have no limit.
func (r *clientRun) failures() *lockout.RateLimit {
	limit := r.cfg.Limits.ClientFailures
	if limit <= 0 {
		return nil
	}
	return lockout.NewRateLimit(lockout.NewRedis(r.db), "client", limit, time.Minute)
}

// secretFailures limits secrets that are kept by a slow hash.
func (r *clientRun) secretFailures() *lockout.Lockout {
	return parts.SecretLockout(lockout.NewRedis(r.db), r.cfg.Limits)
}

// shownClient is a client, with from where its authentication failed within the last minute.
type shownClient struct {
	*clients.Described
	Failures []lockout.ShownBudget `json:"failed_authentications,omitempty"`
	// SlowFailures are those of secrets that a slow hash keeps, from all addresses together.
	SlowFailures []lockout.ShownBudget `json:"failed_slow_secrets,omitempty"`
}

func (p Program) clientShow(r *clientRun, _ []string) error {
	d, err := r.manager.Get(r.ctx, r.id)
	if err != nil {
		return err
	}
	shown := shownClient{Described: d}
	if f := r.failures(); f != nil {
		list, err := f.Networks(r.ctx, r.id)
		if err != nil {
			return err
		}
		for _, b := range list {
			shown.Failures = append(shown.Failures, lockout.Show(b))
		}
	}
	slow, err := r.secretFailures().Budgets(r.ctx, lockout.ClientKey(r.id))
	for _, b := range slow {
		shown.SlowFailures = append(shown.SlowFailures, lockout.Show(b))
	}
	if err != nil {
		return err
	}
	return answer(r.cmd, true, shown, "")
}

// clientUnlock forgets the failed authentications of a client.
func (p Program) clientUnlock(r *clientRun, _ []string) error {
	if _, err := r.manager.Get(r.ctx, r.id); err != nil {
		return err
	}
	n, err := r.secretFailures().Unlock(r.ctx, lockout.ClientKey(r.id))
	if f := r.failures(); f != nil {
		more, failed := f.Unlock(r.ctx, r.id)
		n, err = n+more, errors.Join(err, failed)
	}
	if n > 0 {
		r.trail.tell(registryChange(r.id, audit.Unlocked, err))
	}
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%d failed authentications are forgotten; nodes notice within a second", n)
	if n == 0 {
		text = "no failed authentications count; nothing was changed"
	}
	return answer(r.cmd, r.asJSON, map[string]any{"ok": true, "failures_forgotten": n}, text+"\n")
}
