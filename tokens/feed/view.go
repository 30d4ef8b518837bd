package feed

import (
	"context"
	"sync/atomic"
	"time"
)

// Registry is what a node knows of clients, and holds tokens against.
type Registry interface {
	// Changed forgets what is known of these registered clients: they are read anew.
	Changed(ids []string)
	// ChangedAll forgets what is known of every registered client.
	ChangedAll()
	// Refresh asks the store for what else ends tokens of clients: the epochs of the clients of the
	// configuration.
	Refresh(ctx context.Context) error
}

// View is how far a Registry has come: what it says is no older than the reads that it rests on.
type View struct {
	reader   *Reader
	registry Registry
	applied  atomic.Pointer[appliedState] // nil: nothing yet

	// All that follows is of the Reader's goroutine, but for pending, which its lock guards.
	pending   viewChanges
	behind    bool // something ended since Refresh was asked
	refreshed time.Time
}

// viewChanges are those that the Registry was not told of.
type viewChanges struct {
	all   bool
	any   bool // some name ended
	known []string
}

type appliedState struct {
	at      Position
	enabled bool
	rests   time.Time // what this is known from was read later
}

// maxChanged is how many clients are told one by one.
const maxChanged = 1024

// View begins to bring a registry forward.
func (r *Reader) View(registry Registry) *View {
	v := &View{reader: r, registry: registry, pending: viewChanges{all: true, any: true}}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.views[v] = struct{}{}
	return v
}

// Close ends the View.
func (v *View) Close() {
	v.reader.mu.Lock()
	defer v.reader.mu.Unlock()
	delete(v.reader.views, v)
}

// Reader returns the Reader of the View.
func (v *View) Reader() *Reader { return v.reader }

// note takes what was read, for the next turn. The Reader's lock is held.
func (v *View) note(ends []End, anew bool) {
	c := &v.pending
	c.all = c.all || anew
	c.any = c.any || anew || len(ends) > 0
	for _, e := range ends {
		if e.Client != "" {
			c.known = append(c.known, e.Client)
		}
	}
	if len(c.known) > maxChanged {
		c.all, c.known = true, nil
	}
}

// advance brings every view to what was read.
func (r *Reader) advance(ctx context.Context) {
	type step struct {
		view    *View
		changes viewChanges
	}
	var steps []step
	r.mu.Lock()
	read := r.read
	for v := range r.views {
		steps = append(steps, step{v, v.pending})
		v.pending = viewChanges{}
	}
	r.mu.Unlock()
	for _, s := range steps {
		s.view.advance(ctx, read, s.changes)
	}
}

// advance applies changes. Where names end one after the other, epochs are asked for no more often
// than an idle stream is read; the position waits for them. Where nothing ends they are asked for
// twice in a lease: on a Cluster a name is in the stream before the epoch changes.
func (v *View) advance(ctx context.Context, read readState, c viewChanges) {
	switch {
	case c.all:
		v.registry.ChangedAll()
	case len(c.known) > 0:
		v.registry.Changed(c.known)
	}
	v.behind = v.behind || c.any
	age, lease := time.Since(v.refreshed), v.reader.lease
	if v.behind && age >= lease/readsPerLease || age >= lease/2 {
		asked := time.Now()
		if v.registry.Refresh(ctx) != nil {
			return // the registry tells of it, and nobody is told that it is current
		}
		v.refreshed, v.behind = asked, false
	}
	if v.behind {
		return
	}
	rests := read.begun
	if v.refreshed.Before(rests) {
		rests = v.refreshed
	}
	v.applied.Store(&appliedState{read.at, read.enabled, rests})
}

// Applied returns the position up to which everything was applied, not longer ago than a lease. It
// waits for that, for at most a lease or two seconds. "" without an error: the feed is not enabled,
// and there is no position.
func (v *View) Applied(ctx context.Context) (Position, error) {
	r := v.reader
	r.want()
	if s := v.fresh(); s != nil {
		return s.position()
	}
	timer := time.NewTimer(min(r.lease, 2*time.Second))
	defer timer.Stop()
	for {
		r.mu.Lock()
		r.hurry()
		applied, err, closed := r.applied, r.read.err, r.closed
		r.mu.Unlock()
		if s := v.fresh(); s != nil {
			return s.position()
		}
		if closed {
			return "", ErrClosed
		}
		select {
		case <-applied:
		case <-ctx.Done():
			return "", ctx.Err()
		case <-timer.C:
			if err != nil {
				return "", err
			}
			return "", ErrSlow
		}
	}
}

func (v *View) fresh() *appliedState {
	if s := v.applied.Load(); s != nil && time.Since(s.rests) < v.reader.lease {
		return s
	}
	return nil
}

func (s *appliedState) position() (Position, error) {
	if !s.enabled {
		return "", nil
	}
	return s.at, nil
}
