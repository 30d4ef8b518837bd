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
	Family
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
	now := time.Now()
	e, ok := s.get(userEpochKey(tag), now).(Epoch)
	if !ok {
		e = newEpoch()
	}
	return e, m.set(s, userEpochKey(tag), e, now.Add(life))
}

// Login implements Store.
func (m *Memory) Login(_ context.Context, l *Login) error {
	tag := l.Family.Tag
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if e, ok := s.get(userEpochKey(tag), now).(Epoch); !ok || e != l.Family.UserEpoch {
		return &GrantError{Reason: ReasonLogout}
	}
	k := kept{Family: l.Family, current: l.Refresh.Hash}
	k.Scope = strings.Clone(k.Scope) // see own
	k.Created, k.LastUsed, k.Expires = now, now, now.Add(l.Max)
	if err := m.set(s, userTokenKey(l.Access), own(l.Record), now.Add(min(l.Record.left(now), l.Max))); err != nil {
		return err
	}
	if err := m.set(s, familyKey(tag, k.ID), k, now.Add(familyLife(l.Idle, l.Record.TTL, l.Max))); err != nil {
		return err
	}
	return m.set(s, userEpochKey(tag), l.Family.UserEpoch, now.Add(l.EpochLife))
}

// loadUser looks a user's access token up.
func (m *Memory) loadUser(t Token) (*Record, error) {
	s := m.userShard(t.Tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	r, ok1 := s.get(userTokenKey(t), now).(Record)
	k, ok2 := s.get(familyKey(t.Tag, t.Family), now).(kept)
	e, ok3 := s.get(userEpochKey(t.Tag), now).(Epoch)
	if !ok1 || !ok2 || !ok3 || e != k.UserEpoch {
		return nil, ErrNotFound
	}
	k.complete(&r)
	return &r, nil
}

// Family implements Store.
func (m *Memory) Family(_ context.Context, t Token) (*Family, error) {
	s := m.userShard(t.Tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	k, ok := s.get(familyKey(t.Tag, t.Family), now).(kept)
	if e, there := s.get(userEpochKey(t.Tag), now).(Epoch); !ok || !there || e != k.UserEpoch {
		return nil, ErrNotFound
	}
	return &k.Family, nil
}

// Rotate implements Store.
func (m *Memory) Rotate(_ context.Context, r *Rotation) (*Rotated, error) {
	tag, id := r.Old.Tag, r.Old.Family
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	k, ok := s.get(familyKey(tag, id), now).(kept)
	if !ok {
		return nil, &GrantError{Reason: ReasonNoFamily}
	}
	if k.ClientID != r.ClientID {
		return nil, &GrantError{Reason: ReasonOtherClient}
	}
	e, _ := s.get(userEpochKey(tag), now).(Epoch)
	if k.ClientEpoch != r.ClientEpoch || e != k.UserEpoch || !now.Before(k.Expires) || !now.Before(k.LastUsed.Add(r.Idle)) {
		return nil, s.finish(tag, id, ReasonEnded)
	}
	access := min(r.Record.left(now), k.Expires.Sub(now))
	switch {
	case k.current == r.New.Hash:
		return &Rotated{Left: access}, nil
	case k.current == r.Old.Hash:
		return m.rotate(s, k, r, now, access)
	}
	age := now.Sub(k.LastUsed)
	if k.previous == r.Old.Hash {
		if b, ok := s.get(boxKey(tag, id), now).(box); ok {
			return m.retry(s, k, b, r, now, access)
		}
		if m.excuses(r, now, age) {
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
func (s *shard) finish(tag Tag, id FamilyID, why Reason) error {
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
	s.items[familyKey(k.Tag, k.ID)] = item{k, now.Add(familyLife(r.Idle, r.Record.TTL, k.Expires.Sub(now)))}
	delete(s.items, boxKey(k.Tag, k.ID))
	if r.Window > 0 {
		s.items[boxKey(k.Tag, k.ID)] = item{box{r.Access, r.Ask, r.Box}, now.Add(r.Window)}
	}
	return &Rotated{Left: access}, nil
}

func (m *Memory) retry(s *shard, k kept, b box, r *Rotation, now time.Time, access time.Duration) (*Rotated, error) {
	first, ok := s.items[userTokenKey(b.first)]
	if !ok || !now.Before(first.expires) {
		return nil, &GrantError{Reason: ReasonAccessGone}
	}
	out := &Rotated{Box: b.sealed, Left: first.expires.Sub(now)}
	age := now.Sub(k.LastUsed)
	out.Suspicious = k.Address != r.Address || age > suspiciousAge && !m.excuses(r, now, age)
	if b.ask == r.Ask {
		return out, nil
	}
	if err := m.set(s, userTokenKey(r.Access), own(r.Record), now.Add(access)); err != nil {
		return nil, err
	}
	out.Own, out.Left = true, access
	return out, nil
}

// EndFamily implements Store.
func (m *Memory) EndFamily(_ context.Context, tag Tag, id FamilyID) (bool, error) {
	return m.endFamily(tag, id, ""), nil
}

func (m *Memory) endFamily(tag Tag, id FamilyID, clientID string) bool {
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.get(familyKey(tag, id), time.Now()).(kept)
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
	now := time.Now()
	k, ok := s.get(familyKey(t.Tag, t.Family), now).(kept)
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
	now := time.Now()
	if s.get(callKey(tag, call), now) != nil {
		return nil
	}
	delete(s.items, userEpochKey(tag))
	s.items[callKey(tag, call)] = item{true, now.Add(RepeatFor)}
	return nil
}

// Families implements Store. It walks over a shard: this store is for trials.
func (m *Memory) Families(_ context.Context, tag Tag) ([]*Family, error) {
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	e, ok := s.get(userEpochKey(tag), now).(Epoch)
	var found []*Family
	for _, it := range s.items {
		if k, isFamily := it.value.(kept); ok && isFamily && k.Tag == tag && k.UserEpoch == e && now.Before(it.expires) {
			found = append(found, &k.Family)
		}
	}
	newestFirst(found)
	return found, nil
}

func newestFirst(list []*Family) {
	slices.SortFunc(list, func(a, b *Family) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
}
