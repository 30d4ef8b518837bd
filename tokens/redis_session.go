package tokens

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	startSession    = newScript("clock", "start_session")
	endSession      = newScript("fields", "session", "end_session")
	revokeUserToken = newScript("fields", "session", "revoke_user_token")
	endUser         = newScript("end_user")
	listSessions    = newScript("clock", "fields", "list_sessions")
)

// UserEpoch implements Store.
func (s *Redis) UserEpoch(ctx context.Context, tag Tag, ttl time.Duration) (Epoch, error) {
	drawn := newEpoch()
	value, err := s.db.SetNXGet(ctx, userEpochKey(tag), drawn[:], ttl)
	if err != nil {
		return Epoch{}, err
	}
	if len(value) != len(drawn) {
		return Epoch{}, fmt.Errorf("%w: a user epoch of %d bytes", ErrRecord, len(value))
	}
	return Epoch(value), nil
}

// StartSession implements Store: one script.
func (s *Redis) StartSession(ctx context.Context, l *SessionStart) error {
	at := &l.Session
	keys := []string{userEpochKey(at.Tag), sessionKey(at.Tag, at.ID), userTokenKey(l.Access), sessionsKey(at.Tag)}
	n, err := s.evalAddition(ctx, UnconfirmedLogin, startSession, keys, s.startArgs(l)...)
	if err != nil {
		return err
	}
	if n != int64(1) {
		return &GrantError{Reason: ReasonLogout}
	}
	return nil
}

func (s *Redis) startArgs(l *SessionStart) []any {
	head := appendSessionHead(nil, l.Refresh.Hash, Hash{}, 0)
	head = append(head, l.Session.UserEpoch[:]...)
	head = append(head, l.Session.ClientEpoch[:]...)
	return []any{l.Session.UserEpoch[:], head, appendSessionTail(nil, &l.Session), l.MaxTTL.Milliseconds(),
		sessionTTL(l.IdleTTL, l.Record.TTL, l.MaxTTL).Milliseconds(), appendUserRecord(nil, l.Access.Hash, l.Record),
		l.accessTTL(s.Now()).Milliseconds(), l.Session.ID[:], l.EpochTTL.Milliseconds()}
}

// loadUser reads the record of a user's access token: MGET of record, user epoch and session, in
// one slot.
func (s *Redis) loadUser(ctx context.Context, t Token) (*Record, error) {
	v, err := s.db.MGet(ctx, userTokenKey(t), userEpochKey(t.Tag), sessionKey(t.Tag, t.Session))
	if err != nil {
		return nil, err
	}
	if v[0] == nil || v[1] == nil || v[2] == nil {
		return nil, ErrNotFound
	}
	f, err := parseSession(v[2], t.Tag, t.Session)
	if err != nil {
		return nil, err
	}
	if string(v[1]) != string(f.UserEpoch[:]) {
		return nil, ErrNotFound
	}
	return parseUserRecord(v[0], t.Hash, f)
}

// Session implements Store.
func (s *Redis) Session(ctx context.Context, t Token) (*Session, error) {
	v, err := s.db.MGet(ctx, userEpochKey(t.Tag), sessionKey(t.Tag, t.Session))
	if err != nil {
		return nil, err
	}
	if v[0] == nil || v[1] == nil {
		return nil, ErrNotFound
	}
	f, err := parseSession(v[1], t.Tag, t.Session)
	if err == nil && string(v[0]) != string(f.UserEpoch[:]) {
		return nil, ErrNotFound // logged out; the next login drew another epoch
	}
	return f, err
}

// EndSession implements Store.
func (s *Redis) EndSession(ctx context.Context, tag Tag, id SessionID) (bool, error) {
	return s.endSession(ctx, tag, id, "")
}

func (s *Redis) endSession(ctx context.Context, tag Tag, id SessionID, clientID string) (bool, error) {
	keys := []string{sessionKey(tag, id), retryKey(tag, id), sessionsKey(tag)}
	n, err := s.db.EvalDurable(ctx, endSession, keys, clientID, id[:])
	return n == int64(1), err
}

// EndUser implements Store.
func (s *Redis) EndUser(ctx context.Context, tag Tag) error {
	return s.EndUserOnce(ctx, tag, NewCall())
}

// EndUserOnce implements Store: one DEL.
func (s *Redis) EndUserOnce(ctx context.Context, tag Tag, call Call) error {
	keys := []string{userEpochKey(tag), sessionsKey(tag), callKey(tag, call)}
	_, err := s.db.EvalDurable(ctx, endUser, keys, RepeatFor.Milliseconds())
	return err
}

// Sessions implements Store.
func (s *Redis) Sessions(ctx context.Context, tag Tag) ([]*Session, error) {
	v, err := s.db.Eval(ctx, listSessions, []string{userEpochKey(tag), sessionsKey(tag)}, s.db.Key(userKey("f", tag, nil)))
	if err != nil {
		return nil, err
	}
	list, _ := v.([]any)
	var found []*Session
	for i := 0; i+1 < len(list); i += 2 {
		id, ok1 := list[i].(string)
		value, ok2 := list[i+1].(string)
		if !ok1 || !ok2 || len(id) != len(SessionID{}) {
			return nil, errors.Join(ErrRecord)
		}
		f, err := parseSession([]byte(value), tag, SessionID([]byte(id)))
		if err != nil {
			return nil, err
		}
		found = append(found, f)
	}
	newestFirst(found)
	return found, nil
}
