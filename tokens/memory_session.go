package tokens

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"
)

// kept is a family as Memory holds it. Values in shards are immutable: changes replace them.
type kept struct {
	Session
	current, previous Hash
}

// box is the sealed answer of the last rotation.
type box struct {
	first  Token // the access token inside
	ask    [16]byte
	sealed []byte
}

func (m *Memory) userShard(tag Tag) *shard { return &m.shards[tag[0]%memoryShards] }

// UserEpoch implements Store.
func (m *Memory) UserEpoch(_ context.Context, tag Tag, life time.Duration) (Epoch, error) {
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	e, ok := s.get(userEpochKey(tag), now).(Epoch)
	if !ok {
		e = newEpoch()
	}
	return e, m.set(s, userEpochKey(tag), e, now.Add(life))
}

// StartSession implements Store.
func (m *Memory) StartSession(_ context.Context, l *SessionStart) error {
	tag := l.Session.Tag
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	if e, ok := s.get(userEpochKey(tag), now).(Epoch); !ok || e != l.Session.UserEpoch {
		return &GrantError{Reason: ReasonLogout}
	}
	k := kept{Session: l.Session, current: l.Refresh.Hash}
	k.Scope = strings.Clone(k.Scope) // see own
	k.Created, k.LastUsed, k.Expires = now, now, now.Add(l.MaxTTL)
	if err := m.set(s, userTokenKey(l.Access), own(l.Record), now.Add(min(l.Record.left(now), l.MaxTTL))); err != nil {
		return err
	}
	if err := m.set(s, familyKey(tag, k.ID), k, now.Add(familyLife(l.IdleTTL, l.Record.TTL, l.MaxTTL))); err != nil {
		return err
	}
	return m.set(s, userEpochKey(tag), l.Session.UserEpoch, now.Add(l.EpochTTL))
}

// loadUser looks a user's access token up.
func (m *Memory) loadUser(t Token) (*Record, error) {
	s := m.userShard(t.Tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	r, ok1 := s.get(userTokenKey(t), now).(Record)
	k, ok2 := s.get(familyKey(t.Tag, t.Session), now).(kept)
	e, ok3 := s.get(userEpochKey(t.Tag), now).(Epoch)
	if !ok1 || !ok2 || !ok3 || e != k.UserEpoch {
		return nil, ErrNotFound
	}
	k.complete(&r)
	return &r, nil
}

// Session implements Store.
func (m *Memory) Session(_ context.Context, t Token) (*Session, error) {
	s := m.userShard(t.Tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	k, ok := s.get(familyKey(t.Tag, t.Session), now).(kept)
	if e, there := s.get(userEpochKey(t.Tag), now).(Epoch); !ok || !there || e != k.UserEpoch {
		return nil, ErrNotFound
	}
	return &k.Session, nil
}

// Rotate implements Store.
func (m *Memory) Rotate(_ context.Context, r *Rotation) (*Rotated, error) {
	tag, id := r.Old.Tag, r.Old.Session
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	k, ok := s.get(familyKey(tag, id), now).(kept)
	if !ok {
		return nil, &GrantError{Reason: ReasonNoSession}
	}
	if k.ClientID != r.ClientID {
		return nil, &GrantError{Reason: ReasonOtherClient}
	}
	e, _ := s.get(userEpochKey(tag), now).(Epoch)
	if k.ClientEpoch != r.ClientEpoch || e != k.UserEpoch || !now.Before(k.Expires) || !now.Before(k.LastUsed.Add(r.IdleTTL)) {
		return nil, s.finish(tag, id, ReasonEnded)
	}
	access := min(r.Record.left(now), k.Expires.Sub(now))
	switch {
	case k.current == r.New.Hash:
		return &Rotated{AccessTTL: access}, nil
	case k.current == r.Old.Hash:
		return m.rotate(s, k, r, now, access)
	}
	age := now.Sub(k.LastUsed)
	if k.previous == r.Old.Hash {
		if b, ok := s.get(boxKey(tag, id), now).(box); ok {
			return m.retry(s, k, b, r, now, access)
		}
		if m.excuses(r, age) {
			k.Generation-- // the new pair takes the place of one that nobody is believed to have
			k.current = r.Old.Hash
			out, err := m.rotate(s, k, r, now, access)
			if err == nil {
				out.Reissued = true
			}
			return out, err
		}
	}
	if r.Old.Generation > k.Generation {
		return nil, s.finish(tag, id, ReasonLostRotation)
	}
	return nil, s.finish(tag, id, ReasonReuse)
}

// finish ends a family. The shard must be locked.
func (s *shard) finish(tag Tag, id SessionID, why Reason) error {
	delete(s.items, familyKey(tag, id))
	delete(s.items, boxKey(tag, id))
	return &GrantError{Reason: why}
}

func (m *Memory) rotate(s *shard, k kept, r *Rotation, now time.Time, access time.Duration) (*Rotated, error) {
	if err := m.set(s, userTokenKey(r.Access), own(r.Record), now.Add(access)); err != nil {
		return nil, err
	}
	k.previous, k.current = k.current, r.New.Hash
	k.Generation++
	k.LastUsed, k.Address = now, r.Address
	s.items[familyKey(k.Tag, k.ID)] = item{k, now.Add(familyLife(r.IdleTTL, r.Record.TTL, k.Expires.Sub(now)))}
	delete(s.items, boxKey(k.Tag, k.ID))
	if r.RetryWindow > 0 {
		s.items[boxKey(k.Tag, k.ID)] = item{box{r.Access, r.RequestHash, r.RetryResponse}, now.Add(r.RetryWindow)}
	}
	return &Rotated{AccessTTL: access}, nil
}

func (m *Memory) retry(s *shard, k kept, b box, r *Rotation, now time.Time, access time.Duration) (*Rotated, error) {
	first, ok := s.items[userTokenKey(b.first)]
	if !ok || !now.Before(first.expires) {
		return nil, &GrantError{Reason: ReasonAccessGone}
	}
	out := &Rotated{RetryResponse: b.sealed, AccessTTL: first.expires.Sub(now)}
	age := now.Sub(k.LastUsed)
	out.Suspicious = k.Address != r.Address || age > suspiciousAge && !m.excuses(r, age)
	if b.ask == r.RequestHash {
		return out, nil
	}
	if err := m.set(s, userTokenKey(r.Access), own(r.Record), now.Add(access)); err != nil {
		return nil, err
	}
	out.NewAccess, out.AccessTTL = true, access
	return out, nil
}

// EndSession implements Store.
func (m *Memory) EndSession(_ context.Context, tag Tag, id SessionID) (bool, error) {
	return m.endFamily(tag, id, ""), nil
}

func (m *Memory) endFamily(tag Tag, id SessionID, clientID string) bool {
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.get(familyKey(tag, id), m.now()).(kept)
	if !ok || clientID != "" && k.ClientID != clientID {
		return false
	}
	_ = s.finish(tag, id, "")
	return true
}

// revokeUser ends a user's access token.
func (m *Memory) revokeUser(t Token, clientID string) bool {
	s := m.userShard(t.Tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	k, ok := s.get(familyKey(t.Tag, t.Session), now).(kept)
	if !ok || k.ClientID != clientID || s.get(userTokenKey(t), now) == nil {
		return false
	}
	delete(s.items, userTokenKey(t))
	return true
}

// EndUser implements Store.
func (m *Memory) EndUser(ctx context.Context, tag Tag) error {
	return m.EndUserOnce(ctx, tag, NewCall())
}

// EndUserOnce implements Store.
func (m *Memory) EndUserOnce(_ context.Context, tag Tag, call Call) error {
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	if s.get(callKey(tag, call), now) != nil {
		return nil
	}
	delete(s.items, userEpochKey(tag))
	s.items[callKey(tag, call)] = item{true, now.Add(RepeatFor)}
	return nil
}

// Sessions implements Store. It walks over a shard: this store is for trials.
func (m *Memory) Sessions(_ context.Context, tag Tag) ([]*Session, error) {
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	e, ok := s.get(userEpochKey(tag), now).(Epoch)
	var found []*Session
	for _, it := range s.items {
		if k, isFamily := it.value.(kept); ok && isFamily && k.Tag == tag && k.UserEpoch == e && now.Before(it.expires) {
			found = append(found, &k.Session)
		}
	}
	newestFirst(found)
	return found, nil
}

func newestFirst(list []*Session) {
	slices.SortFunc(list, func(a, b *Session) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
}
