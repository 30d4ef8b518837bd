package tokens

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/redisdb"
)

// Redis is the Store that any number of nodes share. Redis holds hashes of token texts and what tokens say,
// never a text; every key has a lifetime.
type Redis struct{ db *redisdb.DB }

// NewRedis returns a store over an open Redis, which stays the caller's to close.
func NewRedis(db *redisdb.DB) *Redis { return &Redis{db} }

// foundationLife is how long server key and client epochs live unused. It is longer than any token,
// and each use begins it anew.
const foundationLife = 400 * 24 * time.Hour

// Issue implements Store: SET with EX.
func (s *Redis) Issue(ctx context.Context, t Token, r *Record) error {
	return s.db.Set(ctx, clientTokenKey(t), appendRecord(make([]byte, 0, 192), t.Hash, r), r.TTL)
}

// Load implements Store: GET, or MGET for a user's token.
func (s *Redis) Load(ctx context.Context, t Token) (*Record, error) {
	if t.Kind == UserAccess {
		return s.loadUser(ctx, t)
	}
	value, err := s.db.Get(ctx, clientTokenKey(t))
	if errors.Is(err, redisdb.ErrNil) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return parseRecord(value, t.Hash)
}

// revokeToken deletes a record if its hash and client are those given. Layout: see appendRecord; the client's id, with its length before
// it as in ARGV[2], stands behind two uvarints.
var revokeToken = redisdb.NewScript(`
local byte, sub, owner = string.byte, string.sub, ARGV[2]
local v = redis.call('GET', KEYS[1])
if not v then return 0 end
if byte(v) ~= 1 or sub(v, 2, 17) ~= ARGV[1] then return redis.error_reply('ERR unreadable token record') end
local i = 26
while byte(v, i) > 127 do i = i + 1 end
i = i + 1
while byte(v, i) > 127 do i = i + 1 end
if sub(v, i + 1, i + #owner) ~= owner then
  if sub(v, i + 1) == sub(owner, 1, #v - i) then return redis.error_reply('ERR unreadable token record') end -- cut
  return 0
end
return redis.call('DEL', KEYS[1])`)

// Revoke implements Store: one script. A repetition by the network layer finds nothing left and reports
// false; the end itself is the same.
func (s *Redis) Revoke(ctx context.Context, t Token, clientID string) (bool, error) {
	switch t.Kind {
	case Refresh:
		return s.endFamily(ctx, t.Tag, t.Family, clientID)
	case UserAccess:
		n, err := s.db.EvalDurable(ctx, revokeUserToken, []string{userTokenKey(t), familyKey(t.Tag, t.Family)}, t.Hash[16:], clientID)
		return n == int64(1), err
	}
	n, err := s.db.EvalDurable(ctx, revokeToken, []string{clientTokenKey(t)}, t.Hash[16:], appendText(make([]byte, 0, 64), clientID))
	if err != nil {
		return false, err
	}
	return n == int64(1), nil
}

// ClientEpochs implements Store: one pipeline of GETs, and SET NX for what is missing.
func (s *Redis) ClientEpochs(ctx context.Context, ids []string) ([]Epoch, error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = epochKeyOf(id)
	}
	epochs := make([]Epoch, len(ids))
	var missing []int
	err := s.db.Each(ctx, keys, func(i int, value []byte) {
		if copy(epochs[i][:], value) != len(epochs[i]) {
			missing = append(missing, i)
		}
	})
	if err != nil {
		return nil, err
	}
	for _, i := range missing {
		drawn := newEpoch()
		value, err := s.db.SetNXGet(ctx, keys[i], drawn[:], foundationLife)
		if err != nil {
			return nil, err
		}
		if len(value) != len(drawn) {
			return nil, fmt.Errorf("%w: a client epoch of %d bytes", ErrRecord, len(value))
		}
		copy(epochs[i][:], value)
	}
	return epochs, nil
}

func epochKeyOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return clientEpochKey([16]byte(sum[:16]))
}

// KeepClientEpochs implements Store.
func (s *Redis) KeepClientEpochs(ctx context.Context, ids []string) error {
	for _, id := range ids {
		drawn := newEpoch()
		if _, err := s.db.SetNXGet(ctx, epochKeyOf(id), drawn[:], foundationLife); err != nil {
			return err
		}
	}
	return nil
}

// setEpoch: KEYS epoch. ARGV epoch, life.
var setEpoch = redisdb.NewScript(`return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])`)

// SetClientEpoch implements Store, as durably as Redis was told to be.
func (s *Redis) SetClientEpoch(ctx context.Context, id string, e Epoch) error {
	_, err := s.db.EvalDurable(ctx, setEpoch, []string{epochKeyOf(id)}, e[:], foundationLife.Milliseconds())
	return err
}

// once: KEYS key. ARGV a random value, life. By the value a repetition by the network layer recognises its own.
var once = redisdb.NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
return 0`)

// Once implements Store.
func (s *Redis) Once(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	mine := drawID()
	v, err := s.db.EvalDurable(ctx, once, []string{"o:" + key}, mine[:], max(ttl, time.Millisecond).Milliseconds())
	return v == int64(1), err
}

// ServerKey implements Store. The first node ever writes it; every call renews its life.
func (s *Redis) ServerKey(ctx context.Context) (ServerKey, error) {
	drawn := NewServerKey()
	value, err := s.db.SetNXGet(ctx, serverKeyKey, drawn[:], foundationLife)
	if err != nil {
		return ServerKey{}, err
	}
	if len(value) != len(drawn) {
		return ServerKey{}, fmt.Errorf("%w: a server key of %d bytes", ErrRecord, len(value))
	}
	return ServerKey(value), nil
}

// Ping implements Store.
func (s *Redis) Ping(ctx context.Context) error { return s.db.Ping(ctx) }
