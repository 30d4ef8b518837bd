package tokens

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// The kinds of writes that are answered by the primary's word, as grantor_writes_accepted_unconfirmed_total names them.
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

// softly runs a script whose write adds something. It waits for replicas while they are well. Once
// too few have confirmed for replicaPatience, the word of the proven primary is enough, and counted.
//
// Losing an addition fails closed: a lost login asks again, a lost rotation shows by its generation.
// But 503 for a rotation that took effect makes the client retry with a used token: reuse in the end.
// What takes something away (revocations, ends, disabling, keys) must not come here: losing it revives.
func (s *Redis) softly(ctx context.Context, kind string, script *redisdb.Script, keys []string, args ...any) (any, error) {
	v, err := s.db.EvalDurable(ctx, script, keys, args...)
	if !errors.Is(err, redisdb.ErrNotDurable) {
		return v, err
	}
	if s.awaitReplicas(ctx, keys[0]) {
		v, err = s.db.EvalDurable(ctx, script, keys, args...) // the same call: does the primary stand, and its write?
	}
	if errors.Is(err, redisdb.ErrNotDurable) && (s.pulse == nil || s.pulse.Fresh(replicaPatience) == nil) {
		s.alone.of(kind).Add(1)
		return v, nil
	}
	return v, err
}

// replicaPatience is how long a write waits for replicas that have just gone: a primary that is
// about to die as well, or was cut off, must not answer what is lost with it.
const (
	replicaPatience = time.Second
	replicaPoll     = 20 * time.Millisecond
)

// awaitReplicas waits until replicas are back or have been away for replicaPatience. It returns
// false where they had been away that long before.
func (s *Redis) awaitReplicas(ctx context.Context, key string) bool {
	if s.db.ReplicasAway(ctx, key) >= replicaPatience {
		return false
	}
	for until := time.Now().Add(replicaPatience); time.Now().Before(until); time.Sleep(replicaPoll) {
		if away := s.db.ReplicasAway(ctx, key); away == 0 || away >= replicaPatience {
			break
		}
	}
	return true
}

// Unconfirmed returns how many writes of a kind were answered although too few replicas confirmed them.
func (s *Redis) Unconfirmed(kind string) uint64 { return s.alone.of(kind).Load() }
