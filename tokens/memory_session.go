package tokens

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/tokens/feed"
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
func (m *Memory) StartSession(_ context.Context, l *SessionStart) ([]SessionID, error) {
	tag := l.Session.Tag
	s := m.userShard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	if unused, err := m.unused(l.Proof, l.Access, now); err != nil {
		return nil, err
	} else if !unused {
		return nil, ErrProofUsed
	}
	if e, ok := s.get(userEpochKey(tag), now).(Epoch); !ok || e != l.Session.UserEpoch {
		return nil, &GrantError{Reason: ReasonLogout}
	}
	k := storedSession{Session: l.Session, current: l.Refresh.Hash}
	k.Scope, k.Device = strings.Clone(k.Scope), strings.Clone(k.Device) // see cloneRecord
	k.Created, k.LastUsed, k.Expires = now, now, now.Add(l.MaxTTL)
	if err := m.set(s, userTokenKey(l.Access), cloneRecord(l.Record), now.Add(l.accessTTL(now))); err != nil {
		return nil, err
	}
	if err := m.set(s, sessionKey(tag, k.ID), k, now.Add(sessionTTL(l.IdleTTL, l.Record.TTL, l.MaxTTL))); err != nil {
		return nil, err
	}
	if err := m.set(s, userEpochKey(tag), l.Session.UserEpoch, now.Add(l.EpochTTL)); err != nil {
		return nil, err
	}
	return m.beyond(s, l), nil
}

// beyond returns the sessions of a user beyond the maximum, the least recently used. It reads a
// whole shard: this store is for trials. The shard must be locked.
func (m *Memory) beyond(s *shard, l *SessionStart) (ids []SessionID) {
	if l.Maximum <= 0 {
		return nil
	}
	others := s.sessionsOf(l.Session.Tag, l.Session.UserEpoch, m.now())
	others = slices.DeleteFunc(others, func(f *Session) bool { return f.ID == l.Session.ID })
	slices.SortFunc(others, func(a, b *Session) int {
		return cmp.Or(a.LastUsed.Compare(b.LastUsed), bytes.Compare(a.ID[:], b.ID[:]))
	})
	for _, f := range others[:min(max(len(others)+1-l.Maximum, 0), maxBeyond, len(others))] {
		ids = append(ids, f.ID)
	}
	return ids
}

// sessionsOf returns the sessions of a user under an epoch.
func (s *shard) sessionsOf(tag Tag, epoch Epoch, now time.Time) (found []*Session) {
	for _, it := range s.items {
		k, isSession := it.value.(storedSession)
		if isSession && k.Tag == tag && k.UserEpoch == epoch && now.Before(it.expires) {
			found = append(found, &k.Session)
		}
	}
	return found
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
	switch {
	case !ok2:
		return nil, ErrSessionGone
	case !ok3 || e != k.UserEpoch:
		return nil, ErrUserEnded
	case !ok1:
		return nil, ErrRecordGone
	}
	return s.complete(t, r, &k.Session, now)
}

// complete fills a user's record by its session and, if it was exchanged, by those that it came
// from. The shard must be locked.
func (s *shard) complete(t Token, r Record, f *Session, now time.Time) (*Record, error) {
	if r.Exchange == nil {
		f.complete(&r)
		return &r, nil
	}
	f.completeSubject(&r)
	e := *r.Exchange
	r.Exchange = &e
	for _, p := range e.parentTokens(t) {
		parent, ok := s.get(userTokenKey(p), now).(Record)
		if !ok {
			return nil, ErrParentGone
		}
		if parent.Exchange == nil {
			f.complete(&parent)
		} else {
			f.completeSubject(&parent)
		}
		e.Chain = e.with(&parent)
	}
	return &r, nil
}

// Session implements Store.
func (m *Memory) Session(_ context.Context, t Token) (*Session, error) {
	s := m.userShard(t.Tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	k, ok := s.get(sessionKey(t.Tag, t.Session), now).(storedSession)
	if !ok {
		return nil, ErrSessionGone
	}
	if e, there := s.get(userEpochKey(t.Tag), now).(Epoch); !there || e != k.UserEpoch {
		return nil, ErrUserEnded
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
	m.removeSession(s, tag, id)
	return true
}

// removeSession ends a session. The shard must be locked.
func (m *Memory) removeSession(s *shard, tag Tag, id SessionID) {
	m.ended(feed.Session(id))
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
	r, there := s.get(userTokenKey(t), now).(Record)
	owner := k.ClientID
	if r.Exchange != nil {
		owner = r.ClientID
	}
	if !ok || !there || owner != clientID {
		return false
	}
	m.ended(t.Name())
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
	if e, ok := s.get(userEpochKey(tag), now).(Epoch); ok {
		m.ended(feed.User(e))
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
	if !ok {
		return nil, nil
	}
	found := s.sessionsOf(tag, e, now)
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
