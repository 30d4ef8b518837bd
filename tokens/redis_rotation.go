package tokens

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// rotate: KEYS family, user epoch, retry response, new access. ARGV head of the new family value (version, new hash, old hash, new
// generation), what follows its times (marks, address, client's id with its length), client epoch, idle, access life, window,
// access record, retry response, '1' where a retry that came too late is forgiven.
//
// It ends nothing: a node that is there to tell it does. A call may reach Redis long after its request,
// when a connection that hung goes on; it must not end a session unseen.
//
// This script is what a refresh costs Redis (BenchmarkRotate), and Lua hashes every byte of every string that it is handed or
// makes: arguments are few and whole, as they will be stored; lifetimes stay text; nothing is made that the usual case does not
// need. Times have 13 digits until the year 2286.
var rotate = redisdb.NewScript(`
local call, sub, K, A = redis.call, string.sub, KEYS, ARGV
local v, head, owner = call('MGET', K[1], K[2]), A[1], A[2]
local f = v[1]
if not f then return {'` + string(ReasonNoSession) + `'} end
if string.byte(f) ~= 1 then return redis.error_reply('ERR unreadable family record') end
if sub(f, 156, 128 + #owner) ~= sub(owner, 28) then
  if tonumber(sub(f, 156, 159)) then return {'` + string(ReasonOtherClient) + `'} end
  return redis.error_reply('ERR unreadable family record')
end
local t = call('TIME')
local stamp = t[1] .. sub('00000' .. t[2], -6, -4)
local left, idle, life = sub(f, 90, 102) - stamp, A[4] + 0, A[5] + 0
local unused, access, current, old = stamp - sub(f, 103, 115), life, sub(f, 2, 33), sub(head, 34, 65)
if left < access then access = left end
if sub(f, 74, 89) ~= (v[2] or '') .. A[3] or left <= 0 or unused >= idle then return {'` + string(ReasonEnded) + `'} end
if current == sub(head, 2, 33) then return access end
if current ~= old then
  if sub(f, 34, 65) ~= old then
    if tonumber(sub(head, 66, 73), 16) - 1 > tonumber(sub(f, 66, 73), 16) then return {'` + string(ReasonLostRotation) + `'} end
    return {'` + string(ReasonReuse) + `'}
  end
  local box = call('GET', K[3])
  if box then
    local first, moved = call('PTTL', sub(K[4], 1, -17) .. sub(box, 2, 17)), 0
    if first <= 0 then return {'` + string(ReasonAccessGone) + `'} end
    if sub(f, 132, 155) ~= sub(owner, 4, 27) then moved = 1 end
    if sub(box, 18, 33) == sub(A[8], 18, 33) then return {'retry', first, sub(box, 34), unused, moved} end
    call('SET', K[4], A[7], 'PX', access)
    return {'own', access, sub(box, 34), unused, moved}
  end
  if A[6] == '0' then return {'` + string(ReasonReuse) + `'} end
  if A[9] ~= '1' then return {'late', unused} end
end
local familyPX, accessPX = A[4], A[5]
if life > idle then familyPX = accessPX end
if left < idle or left < life then familyPX, accessPX = math.min(left, familyPX + 0), access end
call('SET', K[1], head .. sub(f, 74, 102) .. stamp .. sub(f, 116, 128) .. owner .. sub(f, 129 + #owner), 'PX', familyPX)
call('SET', K[4], A[7], 'PX', accessPX)
if A[6] ~= '0' then
  call('SET', K[3], A[8], 'PX', A[6])
else
  call('DEL', K[3])
end
return access`)

// Rotate implements Store: one script, and another where a retry came too late or the family is to end.
func (s *Redis) Rotate(ctx context.Context, r *Rotation) (*Rotated, error) {
	keys, args := rotationKeys(r), rotationArgs(r, r.Record.left(s.Now()))
	found, err := s.rotate(ctx, keys, args)
	if err != nil {
		return nil, err
	}
	if found.reason == lateRetry {
		forgiven, err := s.forgives(ctx, r, found.age)
		if err != nil {
			return nil, err
		}
		if found.reason = ReasonReuse; forgiven {
			args[len(args)-1] = "1"
			if found, err = s.rotate(ctx, keys, args); err != nil {
				return nil, err
			}
			found.Reissued = found.RetryResponse == nil
		}
	}
	if found.reason != "" {
		return nil, s.refused(ctx, r, found.reason)
	}
	found.Suspicious = found.moved || found.age > suspiciousAge && !s.excuses(r, found.age)
	return &found.Rotated, nil
}

// refused ends the family where the reason does. The verdict holds whether or not that is confirmed.
func (s *Redis) refused(ctx context.Context, r *Rotation, why Reason) error {
	g := &GrantError{Reason: why}
	if why.ends() {
		_, g.Unconfirmed = s.EndSession(ctx, r.Old.Tag, r.Old.Session)
	}
	return g
}

// rotation is what the script found.
type rotation struct {
	Rotated
	reason Reason        // why not; lateRetry: that depends
	age    time.Duration // of the present pair
	moved  bool          // a retry from another network
}

// lateRetry is what the script finds when the retry response of the previous token is gone.
const lateRetry Reason = "late"

func (s *Redis) rotate(ctx context.Context, keys []string, args []any) (*rotation, error) {
	v, err := s.softly(ctx, UnconfirmedRotation, rotate, keys, args...)
	if err != nil {
		return nil, err
	}
	return readRotation(v)
}

// rotationArgs writes most of the arguments into one buffer.
func rotationArgs(r *Rotation, life time.Duration) []any {
	window := max(r.RetryWindow, 0).Milliseconds()
	b := appendRotatedHead(make([]byte, 0, 384+len(r.RetryResponse)), r)
	head := len(b)
	b = appendRotatedOwner(b, r)
	owner := len(b)
	b = appendUserRecord(b, r.Access.Hash, r.Record)
	record := len(b)
	b = appendStoredBox(b, r, window > 0)
	return []any{b[:head], b[head:owner], r.ClientEpoch[:], r.IdleTTL.Milliseconds(), life.Milliseconds(), window, b[owner:record], b[record:], ""}
}

// rotationKeys is four names in one slot, which is written out once.
func rotationKeys(r *Rotation) []string {
	at, id := userKey("", r.Old.Tag, nil), r.Old.Session
	family := at + string(id[:])
	return []string{"f" + family, "u" + at, "w" + family, "t" + at + string(r.Access.Hash[:16])}
}

// appendRotatedHead writes what a family's value begins with once it is rotated: what presents the current hash is of the current
// generation.
func appendRotatedHead(dst []byte, r *Rotation) []byte {
	dst = append(append(append(dst, familyV1), r.New.Hash[:]...), r.Old.Hash[:]...)
	return appendPadded(dst, uint64(r.Old.Generation+1), 16, atUser-atGen)
}

// appendRotatedOwner writes what stands between a family's times and its body.
func appendRotatedOwner(dst []byte, r *Rotation) []byte {
	dst = append(append(dst, marksV1...), paddedAddress(r.Address)...)
	return append(appendPadded(dst, uint64(len(r.ClientID)), 10, 4), r.ClientID...)
}

// appendPadded writes n in at least width digits, at most 13.
func appendPadded(dst []byte, n uint64, base, width int) []byte {
	var b [64]byte
	digits := strconv.AppendUint(b[:0], n, base)
	const zeros = "0000000000000"
	return append(append(dst, zeros[:max(width-len(digits), 0)]...), digits...)
}

// appendStoredBox writes what a retry finds: a '0' that versions before counted with, whose answer it is, to which question, and
// the answer, where it is kept.
func appendStoredBox(dst []byte, r *Rotation, kept bool) []byte {
	id := r.Access.ID()
	dst = append(append(append(dst, '0'), id[:]...), r.RequestHash[:]...)
	if kept {
		dst = append(dst, r.RetryResponse...)
	}
	return dst
}

func readRotation(v any) (*rotation, error) {
	left, rotated := v.(int64)
	if rotated {
		return &rotation{Rotated: Rotated{AccessTTL: time.Duration(left) * time.Millisecond}}, nil
	}
	list, _ := v.([]any)
	number := func(i int) time.Duration { n, _ := list[i].(int64); return time.Duration(n) }
	switch len(list) {
	case 1:
		why, _ := list[0].(string)
		return &rotation{reason: Reason(why)}, nil
	case 2:
		return &rotation{reason: lateRetry, age: number(1) * time.Millisecond}, nil
	case 5:
		box, _ := list[2].(string)
		return &rotation{Rotated: Rotated{RetryResponse: []byte(box), NewAccess: list[0] == "own", AccessTTL: number(1) * time.Millisecond},
			age: number(3) * time.Millisecond, moved: number(4) == 1}, nil
	}
	return nil, fmt.Errorf("%w: unexpected answer of the rotation", ErrRecord)
}
