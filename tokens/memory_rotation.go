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
		return nil, x.refused(d)
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
func (x *memoryRotation) refused(d *decision) error {
	if d.reason.ends() {
		x.store.removeSession(x.shard, x.Old.Tag, x.Old.Session)
	}
	return d.refusal()
}

// decide is the twin of rotate.lua, step by step. The order of the steps is a rule of security:
// Store.Rotate states it.
func (x *memoryRotation) decide(forgiven bool) (*decision, error) {
	// proof: one that was used before has no effect, whatever the token is.
	if unused, err := x.store.unused(x.Proof, x.Access, x.now); err != nil || !unused {
		return refuse(reasonReplayed), err
	}

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

	// otherKey: who stole a token that was not used yet gets nothing, and does not log its owner out.
	foreign := !session.Confirmation.ProvedBy(x.Shown)
	if foreign && session.current == x.Old.Hash {
		return refuse(ReasonOtherKey), nil
	}

	if session.current != x.Old.Hash {
		if d, err := x.used(foreign, forgiven); d != nil || err != nil {
			return d, err
		}
	}

	// rotate: the new tokens take the place of the old ones.
	return x.rotate()
}

// used judges a token that is not the current one; nil: it is rotated again, as a late retry.
func (x *memoryRotation) used(foreign, forgiven bool) (*decision, error) {
	if x.session.previous != x.Old.Hash {
		return x.unknown(foreign), nil
	}

	// reuse by another key: its owner would prove the key.
	if foreign {
		return refuse(ReasonReuse), nil
	}

	// retry: the same response again.
	if stored, there := x.shard.get(retryKey(x.session.Tag, x.session.ID), x.now).(retryResponse); there {
		return x.retry(stored)
	}

	// lateRetry: Rotate finds out whether an outage explains it, and calls again.
	if x.RetryWindow <= 0 {
		return refuse(ReasonReuse), nil
	}
	if !forgiven {
		return &decision{reason: reasonLate, age: x.unused}, nil
	}
	return nil, nil
}

// unknown refuses a token that is neither the current nor the previous one.
func (x *memoryRotation) unknown(foreign bool) *decision {
	switch {
	case x.Old.Generation <= x.session.Generation:
		return refuse(ReasonReuse)
	case foreign:
		return refuse(ReasonOtherKey)
	}
	return refuse(ReasonLostRotation) // the store lost the rotation that made this token
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
	if session.Confirmation.IsZero() && x.binds() {
		session.Confirmation = x.Shown
	}
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
