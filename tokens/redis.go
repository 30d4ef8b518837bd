package tokens

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Redis is the Store of any number of nodes. Redis holds the hashes of token texts, and never a
// text. Every key has a lifetime.
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
	return s.db.Set(ctx, clientTokenKey(t), appendClientRecord(make([]byte, 0, 192), t.Hash, r), r.keepFor(s.Now()))
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
	return parseClientRecord(value, t.Hash)
}

var revokeClientToken = newScript("fields", "revoke_client_token")

// Revoke implements Store: one script. A repetition by the network layer finds nothing left and
// reports false. The token is revoked all the same.
func (s *Redis) Revoke(ctx context.Context, t Token, clientID string) (bool, error) {
	switch t.Kind {
	case Refresh:
		return s.endSession(ctx, t.Tag, t.Session, clientID)
	case UserAccess:
		n, err := s.db.EvalDurable(ctx, revokeUserToken, []string{userTokenKey(t), sessionKey(t.Tag, t.Session)},
			t.Hash.secondHalf(), clientID)
		return n == int64(1), err
	}
	n, err := s.db.EvalDurable(ctx, revokeClientToken, []string{clientTokenKey(t)},
		t.Hash.secondHalf(), appendText(make([]byte, 0, 64), clientID))
	return n == int64(1), err
}

// ClientEpochs implements Store: pipelines of GET, and of SET NX for missing epochs. Where a part
// of a Cluster is away, the error is a *redisdb.PartialError.
func (s *Redis) ClientEpochs(ctx context.Context, ids []string, held map[string]Epoch) ([]Epoch, error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = epochKeyOf(id)
	}
	epochs := make([]Epoch, len(ids))
	var missing []int
	var unreadable error
	note := func(i int, value []byte) {
		if copy(epochs[i][:], value) != len(epochs[i]) { // changeEpoch writes more behind it
			unreadable = fmt.Errorf("%w: a client epoch of %d bytes", ErrRecord, len(value))
		}
	}
	err := s.db.Each(ctx, keys, func(i int, value []byte) {
		if value == nil {
			missing = append(missing, i)
		} else {
			note(i, value)
		}
	})
	if len(missing) > 0 {
		lacking := make([]redisdb.Entry, len(missing))
		for k, i := range missing {
			e, known := held[ids[i]]
			if !known {
				e = newEpoch()
			}
			lacking[k] = redisdb.Entry{Key: keys[i], Value: e[:]}
		}
		err = s.fillEpochs(ctx, lacking, missing, len(ids), note, err)
	}
	return epochs, cmp.Or(unreadable, err)
}

// fillEpochs writes the epochs that are missing among n: of many nodes that do so at once, the
// first decides. before is the error of the reading.
func (s *Redis) fillEpochs(ctx context.Context, list []redisdb.Entry, missing []int, n int,
	note func(int, []byte), before error) error {
	err := s.db.FillEach(ctx, list, unusedTTL, func(k int, value []byte) { note(missing[k], value) })
	failed, partly := errors.AsType[*redisdb.PartialError](err)
	if !partly {
		return cmp.Or(err, before)
	}
	all, partly := errors.AsType[*redisdb.PartialError](before)
	if !partly {
		all = &redisdb.PartialError{Answered: slices.Repeat([]bool{true}, n), Err: failed.Err}
	}
	for k, i := range missing {
		all.Answered[i] = failed.Answered[k]
	}
	return all
}

func epochKeyOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return clientEpochKey([16]byte(sum[:16]))
}

// KeepClientEpochs implements Store: pipelines of PEXPIRE.
func (s *Redis) KeepClientEpochs(ctx context.Context, ids []string) error {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = epochKeyOf(id)
	}
	return s.db.ExpireEach(ctx, keys, unusedTTL)
}

var changeEpoch = newScript("fields", "change_epoch")

// epochChanges is how many changes of a client's epoch a store remembers.
const epochChanges = 4

func (s *Redis) changeEpoch(ctx context.Context, id, how string, e Epoch) error {
	_, err := s.db.EvalDurable(ctx, changeEpoch, []string{epochKeyOf(id)}, how, e[:], unusedTTL.Milliseconds())
	return err
}

// DisableClient implements Store.
func (s *Redis) DisableClient(ctx context.Context, id string, e Epoch) error {
	return s.changeEpoch(ctx, id, "disable", e)
}

// EnableClient implements Store.
func (s *Redis) EnableClient(ctx context.Context, id string, e Epoch) error {
	return s.changeEpoch(ctx, id, "enable", e)
}

// RenewClient implements Store.
func (s *Redis) RenewClient(ctx context.Context, id string, e Epoch) error {
	return s.changeEpoch(ctx, id, "renew", e)
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
