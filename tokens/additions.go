package tokens

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// The kinds of writes that are accepted once the primary has them, as in the metric
// grantor_writes_accepted_unconfirmed_total.
const (
	UnconfirmedRotation   = "rotation"
	UnconfirmedLogin      = "login"
	UnconfirmedReplayMark = "replay_mark"
)

// unconfirmedWrites counts accepted writes that too few replicas confirmed.
type unconfirmedWrites struct{ rotations, logins, replayMarks atomic.Uint64 }

func (u *unconfirmedWrites) of(kind string) *atomic.Uint64 {
	switch kind {
	case UnconfirmedRotation:
		return &u.rotations
	case UnconfirmedLogin:
		return &u.logins
	}
	return &u.replayMarks
}

// evalAddition runs a script that adds data. While replicas are well it waits for them. Once too
// few have confirmed for replicaWait, it is enough that the proven primary has the write. Deletions
// must not come here: a lost deletion revives what was revoked.
//
// A lost addition fails closed: a lost login is repeated, a lost rotation shows by its generation.
// But 503 for a rotation that took effect makes a client retry with a used token: reuse in the end.
func (s *Redis) evalAddition(ctx context.Context, kind string, script *redisdb.Script, keys []string, args ...any) (any, error) {
	v, err := s.db.EvalDurable(ctx, script, keys, args...)
	if !errors.Is(err, redisdb.ErrNotDurable) {
		return v, err
	}
	if s.awaitReplicas(ctx, keys[0]) {
		v, err = s.db.EvalDurable(ctx, script, keys, args...) // again: is the primary still one, and has the write?
	}
	if errors.Is(err, redisdb.ErrNotDurable) && (s.pulse == nil || s.pulse.Fresh(replicaWait) == nil) {
		s.unconfirmed.of(kind).Add(1)
		return v, nil
	}
	return v, err
}

// replicaWait is how long a write waits for replicas that have just gone. A primary that is about
// to fail as well, or that was cut off, must not accept a write that is lost with it.
const (
	replicaWait = time.Second
	replicaPoll = 20 * time.Millisecond
)

// awaitReplicas waits until replicas are back or were away for replicaWait. It returns false where
// they were away that long before.
func (s *Redis) awaitReplicas(ctx context.Context, key string) bool {
	if s.db.ReplicasAway(ctx, key) >= replicaWait {
		return false
	}
	for until := time.Now().Add(replicaWait); time.Now().Before(until); time.Sleep(replicaPoll) {
		if away := s.db.ReplicasAway(ctx, key); away == 0 || away >= replicaWait {
			break
		}
	}
	return true
}

// Unconfirmed returns how many writes of a kind were accepted although too few replicas confirmed
// them.
func (s *Redis) Unconfirmed(kind string) uint64 { return s.unconfirmed.of(kind).Load() }
