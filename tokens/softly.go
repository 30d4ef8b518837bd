package tokens

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/grantor-auth/grantor/redisdb"
)

// The kinds of writes that are answered by the primary's word, as grantor_unconfirmed_writes_total names them.
const (
	UnconfirmedRotation   = "rotation"
	UnconfirmedLogin      = "login"
	UnconfirmedReplayMark = "replay_mark"
)

// primaryAlone counts the writes that too few replicas confirmed.
type primaryAlone struct{ rotations, logins, replayMarks atomic.Uint64 }

func (u *primaryAlone) of(kind string) *atomic.Uint64 {
	switch kind {
	case UnconfirmedRotation:
		return &u.rotations
	case UnconfirmedLogin:
		return &u.logins
	}
	return &u.replayMarks
}

// softly runs a script whose write adds something. It waits for replicas while they are well; once too few have confirmed for
// replicaPatience, the primary's word is enough, and what was not confirmed is counted.
//
// Losing an addition fails closed: a lost log-in asks again, a lost rotation is told from reuse by its generation. To answer 503 for a rotation
// that took effect is worse: the client retries with what is used up, and in the end that is reuse. What takes something away (revocations,
// ends of sessions and users, disabling, keys) must not come here: losing it revives.
func (s *Redis) softly(ctx context.Context, kind string, script *redisdb.Script, keys []string, args ...any) (any, error) {
	v, err := s.db.EvalDurable(ctx, script, keys, args...)
	if errors.Is(err, redisdb.ErrNotDurable) && s.replicas.fewer() {
		v, err = s.db.EvalDurable(ctx, script, keys, args...) // the same call: it asks whether its write still stands
	}
	switch {
	case err == nil:
		s.replicas.enough()
	case errors.Is(err, redisdb.ErrNotDurable):
		s.alone.of(kind).Add(1)
		return v, nil
	}
	return v, err
}

// replicas remembers since when too few replicas confirm.
type replicas struct {
	began time.Time
	since atomic.Int64 // nanoseconds since began, whose clock nobody sets; 0: enough do
}

// replicaPatience is how long a write waits for replicas that have just gone: a primary that is about to die as well, or was
// cut off, must not answer what is lost with it.
const (
	replicaPatience = time.Second
	replicaPoll     = 20 * time.Millisecond
)

func (r *replicas) enough() {
	if r.since.Load() != 0 {
		r.since.Store(0)
	}
}

// fewer notes that too few confirmed. Where that is new it waits until they are back, or have been away for replicaPatience, and returns true.
func (r *replicas) fewer() (waited bool) {
	for r.since.CompareAndSwap(0, int64(time.Since(r.began))); ; waited = true {
		since := r.since.Load()
		if since == 0 || time.Since(r.began)-time.Duration(since) >= replicaPatience {
			return waited
		}
		time.Sleep(replicaPoll)
	}
}

// Unconfirmed returns how many writes of a kind were answered although too few replicas confirmed them.
func (s *Redis) Unconfirmed(kind string) uint64 { return s.alone.of(kind).Load() }
