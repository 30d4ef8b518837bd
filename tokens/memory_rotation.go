package tokens

import (
	"context"
	"time"
)

// retryResponse is what Memory keeps for a retry of the last rotation.
type retryResponse struct {
	access      Token // in the response
	requestHash [16]byte
	sealed      []byte
}

// Rotate implements Store. It reads as Redis.Rotate does.
func (m *Memory) Rotate(_ context.Context, r *Rotation) (*Rotated, error) {
	s := m.userShard(r.Old.Tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := &memoryRotation{Rotation: r, store: m, shard: s, now: m.now()}
	d, err := x.decide(false)
	if err == nil && d.reason == reasonLate {
		d, err = x.decideLate(d.age)
	}
	if err != nil {
		return nil, err
	}
	if d.reason != "" {
		return nil, x.refused(d.reason)
	}
	return d.judged(x.excused), nil
}

// memoryRotation is a Rotation at work. The shard must be locked.
type memoryRotation struct {
	*Rotation
	store *Memory
	shard *shard
	now   time.Time

	session    storedSession
	unused     time.Duration
	sessionTTL time.Duration
	accessTTL  time.Duration
}

func (x *memoryRotation) excused(age time.Duration) bool {
	return x.store.excuses(x.Rotation, age)
}

// decideLate decides about a retry whose response is gone: reuse, unless an outage explains it.
func (x *memoryRotation) decideLate(age time.Duration) (*decision, error) {
	if !x.excused(age) {
		return refuse(ReasonReuse), nil
	}
	d, err := x.decide(true)
	if err == nil {
		d.Reissued = d.RetryResponse == nil
	}
	return d, err
}

// refused ends the session where the reason does.
func (x *memoryRotation) refused(why Reason) error {
	if why.ends() {
		x.shard.endSession(x.Old.Tag, x.Old.Session)
	}
	return &GrantError{Reason: why}
}

// decide is the twin of rotate.lua, step by step. The order of the steps is a rule of security:
// Store.Rotate states it.
func (x *memoryRotation) decide(forgiven bool) (*decision, error) {
	// findSession
	session, found := x.shard.get(sessionKey(x.Old.Tag, x.Old.Session), x.now).(storedSession)
	userEpoch, _ := x.shard.get(userEpochKey(x.Old.Tag), x.now).(Epoch)
	if !found {
		return refuse(ReasonNoSession), nil
	}

	// checkClient: another client's token has no effect.
	if session.ClientID != x.ClientID {
		return refuse(ReasonOtherClient), nil
	}

	// checkEnd: epochs of user and client, absolute end, idle time.
	left := session.Expires.Sub(x.now)
	unused := x.now.Sub(session.LastUsed)
	if session.UserEpoch != userEpoch || session.ClientEpoch != x.ClientEpoch || left <= 0 || unused >= x.IdleTTL {
		return refuse(ReasonEnded), nil
	}
	x.session, x.unused = session, unused
	accessTTL := x.Record.keepFor(x.now)
	x.sessionTTL = sessionTTL(x.IdleTTL, accessTTL, left)
	x.accessTTL = min(accessTTL, left)

	// sameCall: the caller repeated this very call.
	if session.current == x.New.Hash {
		return x.accepted(), nil
	}

	if session.current != x.Old.Hash {
		if session.previous != x.Old.Hash {
			// lostRotation: the store lost the rotation that made this token.
			if x.Old.Generation > session.Generation {
				return refuse(ReasonLostRotation), nil
			}

			// reuse
			return refuse(ReasonReuse), nil
		}

		// retry: the same response again.
		if stored, there := x.shard.get(retryKey(session.Tag, session.ID), x.now).(retryResponse); there {
			return x.retry(stored)
		}

		// lateRetry: Rotate finds out whether an outage explains it, and calls again.
		if x.RetryWindow <= 0 {
			return refuse(ReasonReuse), nil
		}
		if !forgiven {
			return &decision{reason: reasonLate, age: x.unused}, nil
		}
	}

	// rotate: the new tokens take the place of the old ones.
	return x.rotate()
}

func (x *memoryRotation) accepted() *decision {
	return &decision{Rotated: Rotated{AccessTTL: x.accessTTL}}
}

// retry writes nothing, unless the client asks for something else.
func (x *memoryRotation) retry(stored retryResponse) (*decision, error) {
	first, found := x.shard.items[userTokenKey(stored.access)]
	firstTTL := first.expires.Sub(x.now)
	if !found || firstTTL <= 0 {
		return refuse(ReasonAccessGone), nil
	}
	d := &decision{age: x.unused, otherAddress: x.session.Address != x.Address}
	d.RetryResponse, d.AccessTTL = stored.sealed, firstTTL
	if stored.requestHash == x.RequestHash {
		return d, nil
	}
	d.NewAccess, d.AccessTTL = true, x.accessTTL
	return d, x.storeAccess()
}

func (x *memoryRotation) rotate() (*decision, error) {
	if err := x.storeAccess(); err != nil {
		return nil, err
	}
	session := x.session
	session.current, session.previous, session.Generation = x.New.Hash, x.Old.Hash, x.Old.Generation+1
	session.LastUsed, session.Address = x.now, x.Address
	x.shard.items[sessionKey(session.Tag, session.ID)] = item{session, x.now.Add(x.sessionTTL)}
	response := retryKey(session.Tag, session.ID)
	if x.RetryWindow > 0 {
		x.shard.items[response] = item{retryResponse{x.Access, x.RequestHash, x.RetryResponse}, x.now.Add(x.RetryWindow)}
	} else {
		delete(x.shard.items, response)
	}
	return x.accepted(), nil
}

func (x *memoryRotation) storeAccess() error {
	return x.store.set(x.shard, userTokenKey(x.Access), cloneRecord(x.Record), x.now.Add(x.accessTTL))
}
