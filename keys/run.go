package keys

import (
	"context"
	"errors"
	"time"
)

// Run reads the store until ctx ends, so that all nodes agree, and carries out the schedule while
// this node leads.
func (r *Ring) Run(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	healthy, known := true, newSuccession(r)
	for {
		healthy = r.report(ctx, healthy, r.round(ctx, known))
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

// round reads the store, and does what is due if this node leads.
func (r *Ring) round(ctx context.Context, known *succession) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	leads, err := r.cfg.Store.Lease(ctx, r.name, leaseTTL)
	known.observe(r, leads && err == nil)
	if err != nil || !leads {
		return err
	}
	changed, err := maintain(ctx, r.cfg)
	switch {
	case errors.Is(err, ErrOvertaken):
		return nil // another node did it
	case err != nil || !changed:
		return err
	}
	return r.refresh(ctx)
}

// succession is which key signs for each algorithm, and the first use of each key as first planned.
type succession struct {
	current map[Algorithm]string
	planned map[string]time.Time
}

func newSuccession(r *Ring) *succession {
	s := &succession{map[Algorithm]string{}, map[string]time.Time{}}
	s.observe(r, false)
	return s
}

// observe notes which keys sign now. On the leader it reports those that are new.
func (s *succession) observe(r *Ring, report bool) {
	v := r.view.Load()
	for _, alg := range r.cfg.Algorithms {
		k := v.current(alg, r.now(v))
		if k == nil || s.current[alg] == k.ID {
			continue
		}
		if s.current[alg] = k.ID; report {
			r.cfg.Rotated(Activation{k.ID, alg, k.From, s.planned[k.ID].Equal(k.From)})
		}
	}
	for _, k := range v.keys {
		if _, known := s.planned[k.ID]; !known {
			s.planned[k.ID] = k.From
		}
	}
	for id := range s.planned {
		if v.byID[id] == nil {
			delete(s.planned, id)
		}
	}
}
