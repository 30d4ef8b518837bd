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

// Redis is the store of all nodes: one hash with the wrapped keys and their revision, and a lease
// that names the leader.
type Redis struct {
	db   *redisdb.DB
	wrap *Wrap
	kept time.Duration // reading extends a lifetime of the ring that is shorter; less than 0: never

	mu         sync.Mutex
	last       State // without Time
	keyMissing bool  // keys in it do not decrypt, but are known from before
}

// NewRedis returns the store in an open Redis. The caller closes db.
func NewRedis(db *redisdb.DB, wrap *Wrap) *Redis {
	return &Redis{db: db, wrap: wrap, kept: ringTTL - day}
}

// ReadOnly has Load leave the lifetime of the keys as it is: otherwise each use extends it.
func (r *Redis) ReadOnly() { r.kept = -day }

const (
	ringKey   = "keys:{signing}:ring"
	leaderKey = "keys:{signing}:leader"
	ringTTL   = 400 * 24 * time.Hour // each use extends it, to the day
	day       = 24 * time.Hour
)

// The scripts. Each may be executed twice.
var (
	// load: KEYS ring. ARGV the caller's revision, the ring's TTL in ms, and that TTL less a day.
	// It returns Redis's time, the revision, and the record unless the caller has it.
	load = redisdb.NewScript(`
local t = redis.call('TIME')
local held = redis.call('HMGET', KEYS[1], 'revision', 'record')
if not held[1] then return {t[1], t[2], '', ''} end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if held[1] == ARGV[1] then return {t[1], t[2], held[1], ''} end
return {t[1], t[2], held[1], held[2]}`)

	// swap: KEYS ring. ARGV the revision that must be there ('' for none), the new one, the record,
	// the TTL in ms.
	swap = redisdb.NewScript(`
local held = redis.call('HGET', KEYS[1], 'revision') or ''
if held == ARGV[2] then return 1 end
if held ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'record', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1`)

	// lease: KEYS leader. ARGV holder, TTL in ms.
	lease = redisdb.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)
)

// Load implements Store. It reads the record only if its revision is new. A key that was decrypted
// stays known while Redis lists it: a node goes on while others wrap the keys under a new
// encryption key.
func (r *Redis) Load(ctx context.Context) (State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, err := r.db.Eval(ctx, load, []string{ringKey}, r.last.Revision, ringTTL.Milliseconds(), r.kept.Milliseconds())
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

// read decrypts a record of a new revision.
func (r *Redis) read(revision, text string) error {
	if revision == "" {
		r.last, r.keyMissing = State{}, false
		return nil
	}
	rec, err := decodeRing([]byte(text))
	if err != nil {
		return err
	}
	next, missing := State{Revision: revision}, false
	for i := range rec.Keys {
		k, newest, err := r.wrap.openKey(&rec.Keys[i])
		if before := r.known(rec.Keys[i].ID); errors.Is(err, ErrEncryptionKey) && before != nil {
			k, err, missing = rec.Keys[i].key(), nil, true
			k.Private = before.Private
		}
		if err != nil {
			return fmt.Errorf("%s in Redis: %w", r.db.Key(ringKey), err)
		}
		next.Keys, next.Outdated = append(next.Keys, k), next.Outdated || !newest
	}
	next.Outdated = next.Outdated && !missing
	r.last, r.keyMissing = next, missing
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
	if r.isKeyMissing() {
		return ErrEncryptionKey
	}
	text, err := r.wrap.encode(keys)
	if err != nil {
		return err
	}
	v, err := r.db.EvalDurable(ctx, swap, []string{ringKey}, revision, rand.Text(), text, ringTTL.Milliseconds())
	if v == int64(0) { // this holds whether replicas confirm it or not
		return ErrOvertaken
	}
	return err
}

// isKeyMissing says whether this node lacks the encryption key of the others: it must neither write
// nor lead.
func (r *Redis) isKeyMissing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keyMissing
}

// Lease implements Store.
func (r *Redis) Lease(ctx context.Context, holder string, ttl time.Duration) (bool, error) {
	if r.isKeyMissing() {
		return false, nil
	}
	v, err := r.db.Eval(ctx, lease, []string{leaderKey}, holder, ttl.Milliseconds())
	return v == int64(1), err
}
