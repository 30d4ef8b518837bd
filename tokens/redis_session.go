package tokens

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// header is Lua that every family script begins with. Time is Redis's, in milliseconds.
const header = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function num(n) return string.format('%013.0f', n) end
local function client(f) return string.sub(f, 160, 159 + tonumber(string.sub(f, 156, 159))) end
`

// login: KEYS user epoch, family, access, sessions. ARGV epoch, current hash, client epoch, max, address,
// name and body, family life, access record, access life, family id, epoch life.
var login = redisdb.NewScript(header + `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local ends = now + tonumber(ARGV[4])
local f = '\1' .. ARGV[2] .. string.rep('\0', 32) .. '00000000' .. ARGV[1] .. ARGV[3]
  .. num(ends) .. num(now) .. num(now) .. '` + marksV1 + `' .. ARGV[5] .. ARGV[6]
redis.call('SET', KEYS[2], f, 'PX', ARGV[7])
redis.call('SET', KEYS[3], ARGV[8], 'PX', ARGV[9])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
redis.call('ZADD', KEYS[4], ends, ARGV[10])
redis.call('PEXPIRE', KEYS[4], ARGV[11])
redis.call('PEXPIRE', KEYS[1], ARGV[11])
return 1`)

// endFamily: KEYS family, box, sessions. ARGV client (” for any), family id.
var endFamily = redisdb.NewScript(header + `
local f = redis.call('GET', KEYS[1])
if not f then return 0 end
if string.byte(f) ~= 1 then return redis.error_reply('ERR unreadable family record') end
if ARGV[1] ~= '' and client(f) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[2])
return 1`)

// revokeUserToken: KEYS access, family. ARGV second half of the hash, client.
var revokeUserToken = redisdb.NewScript(header + `
local v, f = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
if not v or not f then return 0 end
if string.byte(v) ~= 2 or string.byte(f) ~= 1 then return redis.error_reply('ERR unreadable token record') end
if client(f) ~= ARGV[2] then return 0 end
if string.sub(v, 2, 17) ~= ARGV[1] then return redis.error_reply('ERR unreadable token record') end
return redis.call('DEL', KEYS[1])`)

// endUser: KEYS user epoch, sessions, this call. ARGV how long the call is known. It deletes first: a Redis that is full lets it write
// after that.
var endUser = redisdb.NewScript(`
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
local n = redis.call('DEL', KEYS[1], KEYS[2])
redis.pcall('SET', KEYS[3], 1, 'PX', ARGV[1])
return n`)

// families: KEYS user epoch, sessions. ARGV prefix of family keys.
var families = redisdb.NewScript(header + `
local u = redis.call('GET', KEYS[1])
local found = {}
if not u then return found end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], now, '+inf')) do
  local f = redis.call('GET', ARGV[1] .. id)
  if f and string.sub(f, 74, 81) == u then table.insert(found, id) table.insert(found, f) end
end
return found`)

// UserEpoch implements Store.
func (s *Redis) UserEpoch(ctx context.Context, tag Tag, life time.Duration) (Epoch, error) {
	drawn := newEpoch()
	value, err := s.db.SetNXGet(ctx, userEpochKey(tag), drawn[:], life)
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
	f := &l.Session
	n, err := s.softly(ctx, UnconfirmedLogin, login,
		[]string{userEpochKey(f.Tag), familyKey(f.Tag, f.ID), userTokenKey(l.Access), sessionsKey(f.Tag)},
		f.UserEpoch[:], l.Refresh.Hash[:], f.ClientEpoch[:], l.MaxTTL.Milliseconds(), paddedAddress(f.Address), nameAndBody(f),
		familyLife(l.IdleTTL, l.Record.TTL, l.MaxTTL).Milliseconds(), appendUserRecord(nil, l.Access.Hash, l.Record),
		min(l.Record.left(s.Now()), l.MaxTTL).Milliseconds(), f.ID[:], l.EpochTTL.Milliseconds())
	if err != nil {
		return err
	}
	if n != int64(1) {
		return &GrantError{Reason: ReasonLogout}
	}
	return nil
}

func nameAndBody(f *Session) []byte {
	return appendFamilyBody(fmt.Appendf(nil, "%04d%s", len(f.ClientID), f.ClientID), f)
}

func paddedAddress(address string) string {
	const blank = "                        "
	return address[:min(len(address), MaxAddress)] + blank[min(len(address), MaxAddress):]
}

// loadUser looks a user's access token up: MGET of record, user epoch and family, one slot.
func (s *Redis) loadUser(ctx context.Context, t Token) (*Record, error) {
	v, err := s.db.MGet(ctx, userTokenKey(t), userEpochKey(t.Tag), familyKey(t.Tag, t.Session))
	if err != nil {
		return nil, err
	}
	if v[0] == nil || v[1] == nil || v[2] == nil {
		return nil, ErrNotFound
	}
	f, err := parseFamily(v[2], t.Tag, t.Session)
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
	v, err := s.db.MGet(ctx, userEpochKey(t.Tag), familyKey(t.Tag, t.Session))
	if err != nil {
		return nil, err
	}
	if v[0] == nil || v[1] == nil {
		return nil, ErrNotFound
	}
	f, err := parseFamily(v[1], t.Tag, t.Session)
	if err == nil && string(v[0]) != string(f.UserEpoch[:]) {
		return nil, ErrNotFound // logged out; the next log-in drew another epoch
	}
	return f, err
}

// EndSession implements Store.
func (s *Redis) EndSession(ctx context.Context, tag Tag, id SessionID) (bool, error) {
	return s.endFamily(ctx, tag, id, "")
}

func (s *Redis) endFamily(ctx context.Context, tag Tag, id SessionID, clientID string) (bool, error) {
	n, err := s.db.EvalDurable(ctx, endFamily, []string{familyKey(tag, id), boxKey(tag, id), sessionsKey(tag)}, clientID, id[:])
	return n == int64(1), err
}

// EndUser implements Store.
func (s *Redis) EndUser(ctx context.Context, tag Tag) error {
	return s.EndUserOnce(ctx, tag, NewCall())
}

// EndUserOnce implements Store: one DEL.
func (s *Redis) EndUserOnce(ctx context.Context, tag Tag, call Call) error {
	_, err := s.db.EvalDurable(ctx, endUser, []string{userEpochKey(tag), sessionsKey(tag), callKey(tag, call)}, RepeatFor.Milliseconds())
	return err
}

// Sessions implements Store.
func (s *Redis) Sessions(ctx context.Context, tag Tag) ([]*Session, error) {
	v, err := s.db.Eval(ctx, families, []string{userEpochKey(tag), sessionsKey(tag)}, s.db.Key(userKey("f", tag, nil)))
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
		f, err := parseFamily([]byte(value), tag, SessionID([]byte(id)))
		if err != nil {
			return nil, err
		}
		found = append(found, f)
	}
	newestFirst(found)
	return found, nil
}
