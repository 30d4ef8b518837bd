package tokens

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/redisdb"
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
  .. num(ends) .. num(now) .. num(now) .. '000' .. ARGV[5] .. ARGV[6]
redis.call('SET', KEYS[2], f, 'PX', ARGV[7])
redis.call('SET', KEYS[3], ARGV[8], 'PX', ARGV[9])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
redis.call('ZADD', KEYS[4], ends, ARGV[10])
redis.call('PEXPIRE', KEYS[4], ARGV[11])
redis.call('PEXPIRE', KEYS[1], ARGV[11])
return 1`)

// rotate: KEYS family, user epoch, box, new access, sessions. ARGV old hash, head of the new family value (version, new hash,
// old hash, new generation), client, client epoch, idle, access life, window, old generation, access record, access id, ask,
// sealed, address, family id, prefix of access keys, new hash, the longer of idle and access life.
//
// The usual case is the first to be over, and looks at nothing that it does not need: this script is what a refresh costs Redis
// (BenchmarkRotate). Times have 13 digits until the year 2286.
var rotate = redisdb.NewScript(`
local call, sub = redis.call, string.sub
local v = call('MGET', KEYS[1], KEYS[2])
local f = v[1]
if not f then return {'` + string(ReasonNoFamily) + `'} end
if string.byte(f) ~= 1 then return redis.error_reply('ERR unreadable family record') end
if sub(f, 160, 159 + sub(f, 156, 159)) ~= ARGV[3] then return {'` + string(ReasonOtherClient) + `'} end
local function finish(why)
  call('DEL', KEYS[1], KEYS[3])
  call('ZREM', KEYS[5], ARGV[14])
  return {why}
end
local t = call('TIME')
local stamp = t[1] .. sub(t[2] + 1000000, 2, 4)
local now, used = stamp + 0, sub(f, 103, 115) + 0
local left = sub(f, 90, 102) - now
if sub(f, 74, 89) ~= (v[2] or '') .. ARGV[4] or left <= 0 or now >= used + ARGV[5] then return finish('` + string(ReasonEnded) + `') end
local access = ARGV[6] + 0
if left < access then access = left end
local current, retried, strict = sub(f, 2, 33), sub(f, 130, 130), sub(f, 131, 131)
if current == ARGV[1] then
  local life, strikes = ARGV[17] + 0, '0'
  if left < life then life = left end
  if retried ~= '0' then strikes = sub(f, 129, 129) end
  call('SET', KEYS[1], ARGV[2] .. sub(f, 74, 102) .. stamp .. sub(f, 116, 128) .. strikes .. '0' .. strict .. ARGV[13] .. sub(f, 156), 'PX', life)
  call('SET', KEYS[4], ARGV[9], 'PX', access)
  if ARGV[7] ~= '0' and strict == '0' then
    call('SET', KEYS[3], '0' .. ARGV[10] .. ARGV[11] .. ARGV[12], 'PX', ARGV[7])
  else
    call('DEL', KEYS[3])
  end
  return access
end
if current == ARGV[16] then return access end
local previous, generation, strikes = sub(f, 34, 65), tonumber(sub(f, 66, 73), 16), tonumber(sub(f, 129, 129))
if previous == ARGV[1] then
  local box = redis.call('GET', KEYS[3])
  if box then
    local first = ARGV[15] .. string.sub(box, 2, 17)
    local firstLeft = redis.call('PTTL', first)
    if firstLeft <= 0 then return {'` + string(ReasonAccessGone) + `'} end
    local suspicious = 0
    if retried == '0' and (now - used > ` + fmt.Sprint(lateRetry.Milliseconds()) + ` or string.sub(f, 132, 155) ~= ARGV[13]) then
      strikes = math.min(strikes + 1, 9)
      if strikes >= ` + fmt.Sprint(forgivenRetries) + ` and strict == '0' then strict = '1' suspicious = 1 end
      redis.call('SET', KEYS[1], string.sub(f, 1, 128) .. strikes .. '1' .. strict .. string.sub(f, 132), 'KEEPTTL')
    end
    if string.sub(box, 18, 33) == ARGV[11] then return {'retry', firstLeft, string.sub(box, 34), suspicious} end
    local asks = tonumber(string.sub(box, 1, 1))
    if asks >= ` + fmt.Sprint(maxAsks) + ` then return {'` + string(ReasonTooManyAsks) + `'} end
    redis.call('SET', KEYS[3], (asks + 1) .. string.sub(box, 2), 'KEEPTTL')
    redis.call('SET', KEYS[4], ARGV[9], 'PX', access)
    return {'own', access, string.sub(box, 34), suspicious}
  end
end
if tonumber(ARGV[8]) > generation then return finish('` + string(ReasonLostRotation) + `') end
return finish('` + string(ReasonReuse) + `')`)

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

// endUser: KEYS user epoch, sessions.
var endUser = redisdb.NewScript(`return redis.call('DEL', KEYS[1], KEYS[2])`)

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

// Login implements Store: one script.
func (s *Redis) Login(ctx context.Context, l *Login) error {
	f := &l.Family
	n, err := s.db.EvalDurable(ctx, login,
		[]string{userEpochKey(f.Tag), familyKey(f.Tag, f.ID), userTokenKey(l.Access), sessionsKey(f.Tag)},
		f.UserEpoch[:], l.Refresh.Hash[:], f.ClientEpoch[:], l.Max.Milliseconds(), paddedAddress(f.Address), nameAndBody(f),
		familyLife(l.Idle, l.Record.TTL, l.Max).Milliseconds(), appendUserRecord(nil, l.Access.Hash, l.Record),
		min(l.Record.TTL, l.Max).Milliseconds(), f.ID[:], l.EpochLife.Milliseconds())
	if err != nil {
		return err
	}
	if n != int64(1) {
		return &GrantError{ReasonLogout}
	}
	return nil
}

func nameAndBody(f *Family) []byte {
	return appendFamilyBody(fmt.Appendf(nil, "%04d%s", len(f.ClientID), f.ClientID), f)
}

func paddedAddress(address string) string {
	const blank = "                        "
	return address[:min(len(address), MaxAddress)] + blank[min(len(address), MaxAddress):]
}

// loadUser looks a user's access token up: MGET of record, user epoch and family, one slot.
func (s *Redis) loadUser(ctx context.Context, t Token) (*Record, error) {
	v, err := s.db.MGet(ctx, userTokenKey(t), userEpochKey(t.Tag), familyKey(t.Tag, t.Family))
	if err != nil {
		return nil, err
	}
	if v[0] == nil || v[1] == nil || v[2] == nil {
		return nil, ErrNotFound
	}
	f, err := parseFamily(v[2], t.Tag, t.Family)
	if err != nil {
		return nil, err
	}
	if string(v[1]) != string(f.UserEpoch[:]) {
		return nil, ErrNotFound
	}
	return parseUserRecord(v[0], t.Hash, f)
}

// Family implements Store.
func (s *Redis) Family(ctx context.Context, t Token) (*Family, error) {
	v, err := s.db.MGet(ctx, userEpochKey(t.Tag), familyKey(t.Tag, t.Family))
	if err != nil {
		return nil, err
	}
	if v[0] == nil || v[1] == nil {
		return nil, ErrNotFound
	}
	return parseFamily(v[1], t.Tag, t.Family)
}

// Rotate implements Store: one script.
func (s *Redis) Rotate(ctx context.Context, r *Rotation) (*Rotated, error) {
	tag, id := r.Old.Tag, r.Old.Family
	accessID := r.Access.ID()
	prefix := s.db.Key(userKey("t", tag, nil))
	v, err := s.db.EvalDurable(ctx, rotate,
		[]string{familyKey(tag, id), userEpochKey(tag), boxKey(tag, id), userTokenKey(r.Access), sessionsKey(tag)},
		r.Old.Hash[:], rotatedHead(r), r.ClientID, r.ClientEpoch[:], r.Idle.Milliseconds(), r.Record.TTL.Milliseconds(),
		max(r.Window, 0).Milliseconds(), r.Old.Generation, appendUserRecord(make([]byte, 0, 192), r.Access.Hash, r.Record), accessID[:], r.Ask[:], r.Box,
		paddedAddress(r.Address), id[:], prefix, r.New.Hash[:], max(r.Idle, r.Record.TTL).Milliseconds())
	if err != nil {
		return nil, err
	}
	return readRotated(v)
}

// rotatedHead is what a family's value begins with once it is rotated: what presents the current hash is of the current generation.
func rotatedHead(r *Rotation) []byte {
	head := append(make([]byte, 0, atUser), familyV1)
	head = append(append(head, r.New.Hash[:]...), r.Old.Hash[:]...)
	return fmt.Appendf(head, "%08x", r.Old.Generation+1)
}

func readRotated(v any) (*Rotated, error) {
	if left, ok := v.(int64); ok {
		return &Rotated{Left: time.Duration(left) * time.Millisecond}, nil
	}
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, fmt.Errorf("%w: unexpected answer of the rotation", ErrRecord)
	}
	what, _ := list[0].(string)
	if len(list) == 1 {
		return nil, &GrantError{Reason(what)}
	}
	left, _ := list[1].(int64)
	out := &Rotated{Left: time.Duration(left) * time.Millisecond, Own: what == "own"}
	if len(list) == 4 {
		box, _ := list[2].(string)
		suspicious, _ := list[3].(int64)
		out.Box, out.Suspicious = []byte(box), suspicious == 1
	}
	return out, nil
}

// EndFamily implements Store.
func (s *Redis) EndFamily(ctx context.Context, tag Tag, id FamilyID) (bool, error) {
	return s.endFamily(ctx, tag, id, "")
}

func (s *Redis) endFamily(ctx context.Context, tag Tag, id FamilyID, clientID string) (bool, error) {
	n, err := s.db.EvalDurable(ctx, endFamily, []string{familyKey(tag, id), boxKey(tag, id), sessionsKey(tag)}, clientID, id[:])
	return n == int64(1), err
}

// EndUser implements Store: one DEL.
func (s *Redis) EndUser(ctx context.Context, tag Tag) error {
	_, err := s.db.EvalDurable(ctx, endUser, []string{userEpochKey(tag), sessionsKey(tag)})
	return err
}

// Families implements Store.
func (s *Redis) Families(ctx context.Context, tag Tag) ([]*Family, error) {
	v, err := s.db.Eval(ctx, families, []string{userEpochKey(tag), sessionsKey(tag)}, s.db.Key(userKey("f", tag, nil)))
	if err != nil {
		return nil, err
	}
	list, _ := v.([]any)
	var found []*Family
	for i := 0; i+1 < len(list); i += 2 {
		id, ok1 := list[i].(string)
		value, ok2 := list[i+1].(string)
		if !ok1 || !ok2 || len(id) != len(FamilyID{}) {
			return nil, errors.Join(ErrRecord)
		}
		f, err := parseFamily([]byte(value), tag, FamilyID([]byte(id)))
		if err != nil {
			return nil, err
		}
		found = append(found, f)
	}
	newestFirst(found)
	return found, nil
}
