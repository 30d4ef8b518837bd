package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Redis keeps the keys of all nodes: one hash with the wrapped keys and their revision, and a lease that names the
// leader.
type Redis struct {
	db   *redisdb.DB
	wrap *Wrap

	mu    sync.Mutex
	last  State // without its time
	blind bool  // it holds keys that do not open but are known from before
}

// NewRedis returns the store in an open Redis, which stays the caller's to close.
func NewRedis(db *redisdb.DB, wrap *Wrap) *Redis { return &Redis{db: db, wrap: wrap} }

const (
	ringKey   = "keys:{signing}:ring"
	leaderKey = "keys:{signing}:leader"
	ringLife  = 400 * 24 * time.Hour // unused; each use begins it anew, to the day
	day       = 24 * time.Hour
)

// The scripts. Each may be executed twice.
var (
	// load: KEYS ring. ARGV the revision that the caller has, the ring's life in ms, and what is short of it by a day. It
	// returns Redis's time, the revision, and the record unless the caller has it.
	load = redisdb.NewScript(`
local t = redis.call('TIME')
local held = redis.call('HMGET', KEYS[1], 'revision', 'record')
if not held[1] then return {t[1], t[2], '', ''} end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if held[1] == ARGV[1] then return {t[1], t[2], held[1], ''} end
return {t[1], t[2], held[1], held[2]}`)

	// swap: KEYS ring. ARGV the revision that must be there ('' for none), the new one, the record, the ring's life in ms.
	swap = redisdb.NewScript(`
local held = redis.call('HGET', KEYS[1], 'revision') or ''
if held == ARGV[2] then return 1 end
if held ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'record', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1`)

	// lease: KEYS leader. ARGV holder, life in ms.
	lease = redisdb.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)
)

// Load implements Store. What it has read it does not read again, and a key that it has opened stays known while Redis lists it, so
// that a node runs on while others wrap the keys under a new encryption key.
func (r *Redis) Load(ctx context.Context) (State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, err := r.db.Eval(ctx, load, []string{ringKey}, r.last.Revision, ringLife.Milliseconds(), (ringLife - day).Milliseconds())
	if err != nil {
		return State{}, err
	}
	now, revision, text, err := readAnswer(v)
	if err != nil {
		return State{}, err
	}
	if revision != r.last.Revision {
		if err := r.read(revision, text); err != nil {
			return State{}, err
		}
	}
	s := r.last
	s.Time = now
	return s, nil
}

// readAnswer reads what the script load returns.
func readAnswer(v any) (now time.Time, revision, text string, err error) {
	var parts [4]string
	list, _ := v.([]any)
	if len(list) != len(parts) {
		return now, "", "", fmt.Errorf("%w: Redis answered %d values", ErrRecord, len(list))
	}
	for i := range parts {
		parts[i], _ = list[i].(string)
	}
	seconds, err1 := strconv.ParseInt(parts[0], 10, 64)
	micros, err2 := strconv.ParseInt(parts[1], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return now, "", "", fmt.Errorf("%w: Redis's time: %w", ErrRecord, err)
	}
	return time.Unix(seconds, micros*1000).UTC(), parts[2], parts[3], nil
}

// read opens a record that was not read before.
func (r *Redis) read(revision, text string) error {
	if revision == "" {
		r.last, r.blind = State{}, false
		return nil
	}
	rec, err := decodeRecord([]byte(text))
	if err != nil {
		return err
	}
	next, blind := State{Revision: revision}, false
	for i := range rec.Keys {
		k, newest, err := r.wrap.openKey(&rec.Keys[i])
		if before := r.known(rec.Keys[i].ID); errors.Is(err, ErrEncryptionKey) && before != nil {
			k, err, blind = rec.Keys[i].key(), nil, true
			k.Private = before.Private
		}
		if err != nil {
			return fmt.Errorf("%s in Redis: %w", r.db.Key(ringKey), err)
		}
		next.Keys, next.Outdated = append(next.Keys, k), next.Outdated || !newest
	}
	next.Outdated = next.Outdated && !blind
	r.last, r.blind = next, blind
	return nil
}

func (r *Redis) known(id string) *Key {
	for i := range r.last.Keys {
		if r.last.Keys[i].ID == id {
			return &r.last.Keys[i]
		}
	}
	return nil
}

// Swap implements Store, and writes every key under the newest encryption key.
func (r *Redis) Swap(ctx context.Context, revision string, keys []Key) error {
	if r.isBlind() {
		return ErrEncryptionKey
	}
	text, err := r.wrap.encode(keys)
	if err != nil {
		return err
	}
	v, err := r.db.EvalDurable(ctx, swap, []string{ringKey}, revision, rand.Text(), text, ringLife.Milliseconds())
	if v == int64(0) { // the verdict first: it holds whether replicas confirm it or not
		return ErrOvertaken
	}
	return err
}

// isBlind says whether this node lacks the encryption key of the others: it must not write, nor lead.
func (r *Redis) isBlind() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blind
}

// Lease implements Store.
func (r *Redis) Lease(ctx context.Context, holder string, ttl time.Duration) (bool, error) {
	if r.isBlind() {
		return false, nil
	}
	v, err := r.db.Eval(ctx, lease, []string{leaderKey}, holder, ttl.Milliseconds())
	return v == int64(1), err
}
