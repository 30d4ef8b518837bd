package tokens

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/tokens/feed"
)

var (
	startSession    = newScript("clock", "fields", "proof", "start_session")
	endSession      = newEndScript("fields", "session", "end_session")
	revokeUserToken = newEndScript("fields", "session", "record", "revoke_user_token")
	endUser         = newEndScript("end_user")
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
func (s *Redis) StartSession(ctx context.Context, l *SessionStart) ([]SessionID, error) {
	at := &l.Session
	keys := []string{userEpochKey(at.Tag), sessionKey(at.Tag, at.ID), userTokenKey(l.Access), sessionsKey(at.Tag)}
	args := s.startArgs(l)
	if !l.Proof.IsZero() {
		keys = append(keys, s.proofKeyBeside(at.Tag, l.Proof))
		args = append(args, l.Access.Hash[:len(ID{})], l.Proof.TTL.Milliseconds())
	}
	answer, err := s.evalAddition(ctx, UnconfirmedLogin, startSession, keys, args...)
	if err != nil {
		return nil, err
	}
	switch v := answer.(type) {
	case []any:
		return sessionIDs(v)
	case int64:
		switch v {
		case 1:
			return nil, nil
		case -1:
			return nil, ErrProofUsed
		}
	}
	return nil, &GrantError{Reason: ReasonLogout}
}

func sessionIDs(list []any) (ids []SessionID, err error) {
	for _, v := range list {
		id, ok := v.(string)
		if !ok || len(id) != len(SessionID{}) {
			return nil, fmt.Errorf("%w: the id of a session", ErrRecord)
		}
		ids = append(ids, SessionID([]byte(id)))
	}
	return ids, nil
}

func (s *Redis) startArgs(l *SessionStart) []any {
	head := appendSessionHead(nil, !l.Session.Confirmation.IsZero(), l.Refresh.Hash, Hash{}, 0)
	head = append(head, l.Session.UserEpoch[:]...)
	head = append(head, l.Session.ClientEpoch[:]...)
	return []any{l.Session.UserEpoch[:], head, appendSessionTail(nil, &l.Session), l.MaxTTL.Milliseconds(),
		sessionTTL(l.IdleTTL, l.Record.TTL, l.MaxTTL).Milliseconds(), appendUserRecord(nil, l.Access.Hash, l.Record),
		l.accessTTL(s.Now()).Milliseconds(), l.Session.ID[:], l.EpochTTL.Milliseconds(),
		max(l.Maximum, 0), s.db.Key(userKey("f", l.Session.Tag, nil))}
}

// loadUser reads the record of a user's access token: MGET of record, user epoch and session, in
// one slot.
func (s *Redis) loadUser(ctx context.Context, t Token) (*Record, error) {
	v, err := s.db.MGet(ctx, userTokenKey(t), userEpochKey(t.Tag), sessionKey(t.Tag, t.Session))
	if err != nil {
		return nil, err
	}
	if v[2] == nil {
		return nil, ErrSessionGone
	}
	f, err := parseSession(v[2], t.Tag, t.Session)
	switch {
	case err != nil && v[0] == nil: // whatever the session is, the token is not active
		return nil, ErrRecordGone
	case err != nil:
		return nil, err
	case string(v[1]) != string(f.UserEpoch[:]):
		return nil, ErrUserEnded
	case v[0] == nil:
		return nil, ErrRecordGone
	case isExchanged(v[0]):
		return s.loadUserExchanged(ctx, t, v[0], f)
	}
	return parseUserRecord(v[0], t.Hash, f)
}

// loadUserExchanged completes the record of an exchanged token of a user: MGET in the user's slot.
func (s *Redis) loadUserExchanged(ctx context.Context, t Token, value []byte, f *Session) (*Record, error) {
	r, err := parseExchangedRecord(value, t.Hash)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, p := range r.Exchange.parentTokens(t) {
		keys = append(keys, userTokenKey(p))
	}
	values, err := s.db.MGet(ctx, keys...)
	if err != nil {
		return nil, err
	}
	f.completeSubject(r)
	if err := r.parseParents(values, f); err != nil {
		return nil, err
	}
	return r, nil
}

// Session implements Store.
func (s *Redis) Session(ctx context.Context, t Token) (*Session, error) {
	v, err := s.db.MGet(ctx, userEpochKey(t.Tag), sessionKey(t.Tag, t.Session))
	if err != nil {
		return nil, err
	}
	if v[1] == nil {
		return nil, ErrSessionGone
	}
	f, err := parseSession(v[1], t.Tag, t.Session)
	if err == nil && string(v[0]) != string(f.UserEpoch[:]) {
		return nil, ErrUserEnded // logged out; the next login drew another epoch
	}
	return f, err
}

// EndSession implements Store.
func (s *Redis) EndSession(ctx context.Context, tag Tag, id SessionID) (bool, error) {
	return s.endSession(ctx, tag, id, "")
}

func (s *Redis) endSession(ctx context.Context, tag Tag, id SessionID, clientID string) (bool, error) {
	keys := []string{sessionKey(tag, id), retryKey(tag, id), sessionsKey(tag)}
	return s.endNamed(ctx, feed.Session(id), endSession, keys, clientID, id[:])
}

// EndUser implements Store.
func (s *Redis) EndUser(ctx context.Context, tag Tag) error {
	return s.EndUserOnce(ctx, tag, NewCall())
}

// EndUserOnce implements Store: it looks for the epoch, of which the name in the feed is made, and
// ends it while it is still that one.
func (s *Redis) EndUserOnce(ctx context.Context, tag Tag, call Call) error {
	keys := []string{userEpochKey(tag), sessionsKey(tag), callKey(tag, call)}
	for range maxOvertaken {
		held, err := s.db.MGet(ctx, keys[0], keys[2])
		if err != nil {
			return err
		}
		epoch, earlier := held[0], held[1]
		var name string
		if epoch != nil && earlier == nil {
			if len(epoch) != len(Epoch{}) {
				return fmt.Errorf("%w: a user epoch of %d bytes", ErrRecord, len(epoch))
			}
			name = feed.User(Epoch(epoch))
		}
		if done, err := s.endBy(ctx, name, endUser, keys, RepeatFor.Milliseconds(), epoch); done || err != nil {
			return err
		}
	}
	return errOvertaken
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
