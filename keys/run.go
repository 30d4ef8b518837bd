package keys

import (
	"context"
	"errors"
	"time"
)

// Run follows the store until ctx ends, so that all nodes agree, and carries out the schedule while this node
// leads.
func (r *Ring) Run(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	healthy := true
	for {
		healthy = r.report(ctx, healthy, r.round(ctx))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// report logs when rounds begin to fail and when they succeed again.
func (r *Ring) report(ctx context.Context, healthy bool, err error) bool {
	switch {
	case err == nil && !healthy:
		r.cfg.Log.Info("signing keys are confirmed again")
	case err != nil && healthy && ctx.Err() == nil:
		r.cfg.Log.Error("signing keys are not confirmed", "error", err.Error())
	}
	return err == nil
}

// round looks at the store, and at what there is to do if this node leads.
func (r *Ring) round(ctx context.Context) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	leads, err := r.cfg.Store.Lease(ctx, r.name, leaseLife)
	if err != nil || !leads {
		return err
	}
	changed, err := maintain(ctx, r.cfg)
	switch {
	case errors.Is(err, ErrOvertaken):
		return nil // somebody else did it, or will
	case err != nil || !changed:
		return err
	}
	return r.refresh(ctx)
}
