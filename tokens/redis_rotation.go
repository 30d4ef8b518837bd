package tokens

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/grantor-auth/grantor/redisdb"
)

// rotate: KEYS family, user epoch, box, new access, sessions. ARGV head of the new family value (version, new hash, old hash, new
// generation), what follows its times and marks (address, client's id with its length), client epoch, idle, access life, window,
// access record, box of this answer.
//
// This script is what a refresh costs Redis (BenchmarkRotate), and Lua hashes every byte of every string that it is handed or
// makes: arguments are few and whole, as they will be stored; lifetimes stay text; nothing is made that the usual case does not
// need. Times have 13 digits until the year 2286.
var rotate = redisdb.NewScript(`
local call, sub, K, A = redis.call, string.sub, KEYS, ARGV
local v, head, owner = call('MGET', K[1], K[2]), A[1], A[2]
local f = v[1]
if not f then return {'` + string(ReasonNoFamily) + `'} end
if string.byte(f) ~= 1 then return redis.error_reply('ERR unreadable family record') end
if sub(f, 156, 131 + #owner) ~= sub(owner, 25) then
  if tonumber(sub(f, 156, 159)) then return {'` + string(ReasonOtherClient) + `'} end
  return redis.error_reply('ERR unreadable family record')
end
local t = call('TIME')
local stamp = t[1] .. sub('00000' .. t[2], -6, -4)
local left, idle, life, why = sub(f, 90, 102) - stamp, A[4] + 0, A[5] + 0, '` + string(ReasonReuse) + `'
local unused, access, current, old, strict = stamp - sub(f, 103, 115), life, sub(f, 2, 33), sub(head, 34, 65), sub(f, 131, 131)
if left < access then access = left end
if sub(f, 74, 89) ~= (v[2] or '') .. A[3] or left <= 0 or unused >= idle then
  why = '` + string(ReasonEnded) + `'
elseif current == old then
  local familyPX, accessPX, marks = A[4], A[5], sub(f, 129, 131)
  if life > idle then familyPX = accessPX end
  if left < idle or left < life then familyPX, accessPX = math.min(left, familyPX + 0), access end
  if sub(marks, 2, 2) ~= '0' then marks = sub(marks, 1, 1) .. '0' .. strict elseif marks ~= '000' then marks = '00' .. strict end
  call('SET', K[1], head .. sub(f, 74, 102) .. stamp .. sub(f, 116, 128) .. marks .. owner .. sub(f, 132 + #owner), 'PX', familyPX)
  call('SET', K[4], A[7], 'PX', accessPX)
  if A[6] ~= '0' and strict == '0' then
    call('SET', K[3], A[8], 'PX', A[6])
  else
    call('DEL', K[3])
  end
  return access
elseif current == sub(head, 2, 33) then
  return access
else
  local box = sub(f, 34, 65) == old and call('GET', K[3])
  if box then
    local firstLeft = call('PTTL', sub(K[4], 1, -17) .. sub(box, 2, 17))
    if firstLeft <= 0 then return {'` + string(ReasonAccessGone) + `'} end
    local suspicious, address = 0, sub(owner, 1, 24)
    if sub(f, 130, 130) == '0' and (unused > ` + fmt.Sprint(lateRetry.Milliseconds()) + ` or sub(f, 132, 155) ~= address) then
      local strikes = math.min(sub(f, 129, 129) + 1, 9)
      if strikes >= ` + fmt.Sprint(forgivenRetries) + ` and strict == '0' then strict = '1' suspicious = 1 end
      call('SET', K[1], sub(f, 1, 128) .. strikes .. '1' .. strict .. sub(f, 132), 'KEEPTTL')
    end
    if sub(box, 18, 33) == sub(A[8], 18, 33) then return {'retry', firstLeft, sub(box, 34), suspicious} end
    local asks = tonumber(sub(box, 1, 1))
    if asks >= ` + fmt.Sprint(maxAsks) + ` then return {'` + string(ReasonTooManyAsks) + `'} end
    call('SET', K[3], (asks + 1) .. sub(box, 2), 'KEEPTTL')
    call('SET', K[4], A[7], 'PX', access)
    return {'own', access, sub(box, 34), suspicious}
  end
  if tonumber(sub(head, 66, 73), 16) - 1 > tonumber(sub(f, 66, 73), 16) then why = '` + string(ReasonLostRotation) + `' end
end
call('DEL', K[1], K[3])
call('ZREM', K[5], sub(K[1], -16))
return {why}`)

// Rotate implements Store: one script.
func (s *Redis) Rotate(ctx context.Context, r *Rotation) (*Rotated, error) {
	window := max(r.Window, 0).Milliseconds()
	b := appendRotatedHead(make([]byte, 0, 384+len(r.Box)), r) // one buffer for all
	head := len(b)
	b = appendRotatedOwner(b, r)
	owner := len(b)
	b = appendUserRecord(b, r.Access.Hash, r.Record)
	record := len(b)
	b = appendStoredBox(b, r, window > 0)
	v, err := s.db.EvalDurable(ctx, rotate, rotationKeys(r), b[:head], b[head:owner], r.ClientEpoch[:],
		r.Idle.Milliseconds(), r.Record.left(s.Now()).Milliseconds(), window, b[owner:record], b[record:])
	if err != nil {
		return nil, err
	}
	return readRotated(v)
}

// rotationKeys is five names in one slot, which is written out once.
func rotationKeys(r *Rotation) []string {
	at, id := userKey("", r.Old.Tag, nil), r.Old.Family
	family := at + string(id[:])
	return []string{"f" + family, "u" + at, "w" + family, "t" + at + string(r.Access.Hash[:16]), "s" + at}
}

// appendRotatedHead writes what a family's value begins with once it is rotated: what presents the current hash is of the current
// generation.
func appendRotatedHead(dst []byte, r *Rotation) []byte {
	dst = append(append(append(dst, familyV1), r.New.Hash[:]...), r.Old.Hash[:]...)
	return appendPadded(dst, uint64(r.Old.Generation+1), 16, atUser-atGen)
}

// appendRotatedOwner writes what stands between a family's marks and its body.
func appendRotatedOwner(dst []byte, r *Rotation) []byte {
	dst = append(dst, paddedAddress(r.Address)...)
	return append(appendPadded(dst, uint64(len(r.ClientID)), 10, 4), r.ClientID...)
}

// appendPadded writes n in at least width digits, at most 13.
func appendPadded(dst []byte, n uint64, base, width int) []byte {
	var b [64]byte
	digits := strconv.AppendUint(b[:0], n, base)
	const zeros = "0000000000000"
	return append(append(dst, zeros[:max(width-len(digits), 0)]...), digits...)
}

// appendStoredBox writes what a retry finds: how often another scope was asked for, whose answer it is, to which question, and the
// answer, where it is kept.
func appendStoredBox(dst []byte, r *Rotation, kept bool) []byte {
	id := r.Access.ID()
	dst = append(append(append(dst, '0'), id[:]...), r.Ask[:]...)
	if kept {
		dst = append(dst, r.Box...)
	}
	return dst
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
