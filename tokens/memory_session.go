package tokens

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"
)

// storedSession is a session as Memory holds it. Values in shards are immutable: changes replace
// them.
type storedSession struct {
	Session
	current, previous Hash
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
	k := storedSession{Session: l.Session, current: l.Refresh.Hash}
	k.Scope = strings.Clone(k.Scope) // see cloneRecord
	k.Created, k.LastUsed, k.Expires = now, now, now.Add(l.MaxTTL)
	if err := m.set(s, userTokenKey(l.Access), cloneRecord(l.Record), now.Add(l.accessTTL(now))); err != nil {
		return err
	}
	if err := m.set(s, sessionKey(tag, k.ID), k, now.Add(sessionTTL(l.IdleTTL, l.Record.TTL, l.MaxTTL))); err != nil {
		return err
	}
	return m.set(s, userEpochKey(tag), l.Session.UserEpoch, now.Add(l.EpochTTL))
}

// loadUser returns the record of a user's access token.
func (m *Memory) loadUser(t Token) (*Record, error) {
	s := m.userShard(t.Tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	r, ok1 := s.get(userTokenKey(t), now).(Record)
	k, ok2 := s.get(sessionKey(t.Tag, t.Session), now).(storedSession)
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
	k, ok := s.get(sessionKey(t.Tag, t.Session), now).(storedSession)
	if e, there := s.get(userEpochKey(t.Tag), now).(Epoch); !ok || !there || e != k.UserEpoch {
		return nil, ErrNotFound
	}
	return &k.Session, nil
}

// EndSession implements Store.
func (m *Memory) EndSession(_ context.Context, tag Tag, id SessionID) (bool, error) {
	return m.endSession(tag, id, ""), nil
}

func (m *Memory) endSession(tag Tag, id SessionID, clientID string) bool {
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.get(sessionKey(tag, id), m.now()).(storedSession)
	if !ok || clientID != "" && k.ClientID != clientID {
		return false
	}
	s.endSession(tag, id)
	return true
}

// endSession removes a session. The shard must be locked.
func (s *shard) endSession(tag Tag, id SessionID) {
	delete(s.items, sessionKey(tag, id))
	delete(s.items, retryKey(tag, id))
}

// revokeUser ends a user's access token.
func (m *Memory) revokeUser(t Token, clientID string) bool {
	s := m.userShard(t.Tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	k, ok := s.get(sessionKey(t.Tag, t.Session), now).(storedSession)
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

// Sessions implements Store. It reads a whole shard: this store is for trials.
func (m *Memory) Sessions(_ context.Context, tag Tag) ([]*Session, error) {
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	e, ok := s.get(userEpochKey(tag), now).(Epoch)
	var found []*Session
	for _, it := range s.items {
		k, isSession := it.value.(storedSession)
		if ok && isSession && k.Tag == tag && k.UserEpoch == e && now.Before(it.expires) {
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
