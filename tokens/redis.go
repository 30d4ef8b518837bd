package tokens

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Redis is the Store of any number of nodes. Redis holds the hashes of token texts, and never a
// text. Every key has a lifetime, except for API keys that have none; see APIKeys.
type Redis struct {
	db            *redisdb.DB
	pulse         Pulse // nil: no outage is known of
	unconfirmed   unconfirmedWrites
	waitForOthers func(context.Context) error // see BeginServing
}

// NewRedis returns a store over an open Redis. The caller closes db.
func NewRedis(db *redisdb.DB) *Redis { return &Redis{db: db, waitForOthers: waitForOthers} }

// WithPulse makes the store forgive a retry that is late because of an outage that p knows. It must
// be called before all else.
func (s *Redis) WithPulse(p Pulse) *Redis {
	s.pulse = p
	return s
}

// unusedTTL is the lifetime of the server key and of client epochs: longer than any token's. Each
// use extends it.
const unusedTTL = 400 * 24 * time.Hour

// Now implements Store: Redis's clock, which redisdb.DB.RunClock follows. A program that does not
// run it must not be more than seconds apart from Redis.
func (s *Redis) Now() time.Time { return s.db.Now() }

// Issue implements Store: SET with PX.
func (s *Redis) Issue(ctx context.Context, t Token, r *Record) error {
	return s.db.Set(ctx, tokenKey(t), appendIssued(make([]byte, 0, 192), t.Hash, r), r.keepFor(s.Now()))
}

// appendIssued writes the record of a token that Issue stores.
func appendIssued(dst []byte, h Hash, r *Record) []byte {
	if r.Exchange != nil {
		return appendExchangedRecord(dst, h, r)
	}
	return appendClientRecord(dst, h, r)
}

// Load implements Store: GET, or MGET for a user's token. For an exchanged token, another round
// trip follows for those that it came from.
func (s *Redis) Load(ctx context.Context, t Token) (*Record, error) {
	if t.Kind == UserAccess {
		return s.loadUser(ctx, t)
	}
	value, err := s.db.Get(ctx, clientTokenKey(t))
	if errors.Is(err, redisdb.ErrNil) {
		return nil, ErrRecordGone
	}
	if err != nil {
		return nil, err
	}
	switch {
	case t.Kind == ClientKey:
		return parseKeyRecord(value, t.Hash)
	case isExchanged(value):
		return s.loadExchanged(ctx, t, value)
	}
	return parseClientRecord(value, t.Hash)
}

// loadExchanged completes the record of an exchanged token of a machine: GETs in one pipeline to
// each server.
func (s *Redis) loadExchanged(ctx context.Context, t Token, value []byte) (*Record, error) {
	r, err := parseExchangedRecord(value, t.Hash)
	if err != nil {
		return nil, err
	}
	values, err := s.parents(ctx, r.Exchange.parentTokens(t))
	if err == nil {
		err = r.parseParents(values, nil)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// parents reads the records of a client's tokens; nil where there is none.
func (s *Redis) parents(ctx context.Context, list []Token) ([][]byte, error) {
	values, keys := make([][]byte, len(list)), make([]string, len(list))
	for i, t := range list {
		keys[i] = clientTokenKey(t)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return values, s.db.Each(ctx, keys, func(i int, value []byte) { values[i] = value })
}

var revokeClientToken = newEndScript("fields", "record", "revoke_client_token")

// Revoke implements Store; see endNamed. A repetition by the network layer finds nothing left and
// reports false. The token is revoked all the same.
func (s *Redis) Revoke(ctx context.Context, t Token, clientID string) (bool, error) {
	switch t.Kind {
	case Refresh:
		return s.endSession(ctx, t.Tag, t.Session, clientID)
	case UserAccess:
		return s.endNamed(ctx, t.Name(), revokeUserToken, []string{userTokenKey(t), sessionKey(t.Tag, t.Session)},
			t.Hash.secondHalf(), clientID, appendText(make([]byte, 0, 64), clientID))
	}
	return s.endNamed(ctx, t.Name(), revokeClientToken, []string{clientTokenKey(t)},
		t.Hash.secondHalf(), appendText(make([]byte, 0, 64), clientID))
}

var onceScript = newScript("once")

// Once implements Store.
func (s *Redis) Once(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	mine := drawID()
	v, err := s.evalAddition(ctx, UnconfirmedReplayMark, onceScript, []string{"o:" + key},
		mine[:], max(ttl, time.Millisecond).Milliseconds())
	return v == int64(1), err
}

// ServerKey implements Store: one GET.
func (s *Redis) ServerKey(ctx context.Context) (ServerKey, error) {
	value, err := s.db.Get(ctx, serverKeyKey)
	if errors.Is(err, redisdb.ErrNil) {
		return ServerKey{}, ErrNotFound
	}
	if err != nil {
		return ServerKey{}, err
	}
	return readServerKey(value)
}

// KeepServerKey implements Store.
func (s *Redis) KeepServerKey(ctx context.Context, key ServerKey) (ServerKey, error) {
	value, err := s.db.SetNXGet(ctx, serverKeyKey, key[:], unusedTTL)
	if err != nil {
		return ServerKey{}, err
	}
	return readServerKey(value)
}

func readServerKey(value []byte) (ServerKey, error) {
	if len(value) != len(ServerKey{}) {
		return ServerKey{}, fmt.Errorf("%w: a server key of %d bytes", ErrRecord, len(value))
	}
	return ServerKey(value), nil
}

// Ping implements Store.
func (s *Redis) Ping(ctx context.Context) error { return s.db.Ping(ctx) }
