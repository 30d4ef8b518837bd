package clients

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Redis keeps the clients that are not in config.toml. Clients are data: unlike everything that tokens rest on, they
// have no lifetime.
//
// They lie in 256 hashes, chosen by SHA-256 of the id, so that no text that somebody typed is part of a key's name; a sorted
// set holds when the last secret of a client ends; and a stream, the feed, tells every node which client changed. All of
// these share a slot, so that a change and its announcement are one script. Which secret was used when lies beside
// them, with a lifetime.
type Redis struct {
	Again Repeater // nil: what could not be confirmed is the caller's to repeat

	db *redisdb.DB
}

// Repeater does again, until it is confirmed, what could not be; tokens.Pending is one.
type Repeater interface {
	// Again remembers what to do; what it knew under this key before is forgotten.
	Again(key any, do func(context.Context) error)
	// Settled forgets it: something later was confirmed.
	Settled(key any)
}

// NewRedis returns the registrations in an open Redis.
func NewRedis(db *redisdb.DB) *Redis { return &Redis{db: db} }

// Errors of Redis. Others are Redis's own and mean that it could not answer.
var (
	// ErrExists: the id is taken.
	ErrExists = errors.New("a client with this id exists")
	// ErrNotConfirmed: the change was made, and fewer replicas have it than were asked for; a failover may undo it. The result
	// stands beside it.
	ErrNotConfirmed = redisdb.ErrNotDurable
	// ErrOutcomeUnknown: Redis's answer was lost; nobody knows whether the change was made.
	ErrOutcomeUnknown = redisdb.ErrOutcomeUnknown
	// ErrTooMany: the registrar has as many registrations as it may.
	ErrTooMany = errors.New("too many clients are registered by this registrar")
	// ErrOvertaken: others keep changing this client.
	ErrOvertaken = errors.New("others keep changing this client; try again")
	// ErrRecord: a stored registration that this version cannot read.
	ErrRecord = errors.New("unreadable client registration")
)

// NewEpoch draws an epoch.
func NewEpoch() (e Epoch) {
	rand.Read(e[:]) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return e
}

const (
	registryTag = "{registry}"
	feedKey     = "clients:" + registryTag + ":feed"
	endsKey     = "clients:" + registryTag + ":ends"
	shards      = 256
)

// registrarKey is the set of clients that a registrar registered.
func registrarKey(id string) string {
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("clients:%s:by:%x", registryTag, sum[:16])
}

func shardKey(shard byte) string { return fmt.Sprintf("clients:%s:%02x", registryTag, shard) }

func shardOf(id string) byte {
	sum := sha256.Sum256([]byte(id))
	return sum[0]
}

// feedLength is about how many changes a node may be behind before it begins anew.
const feedLength = 10_000

// The scripts. Each may be executed twice.
var (
	read = redisdb.NewScript(`return redis.call('HGET', KEYS[1], ARGV[1])`)

	// replace: KEYS shard, ends, feed, clients of the registrar. ARGV id, what the caller read ('' for nothing), what shall stand there
	// ('' for nothing), when the last secret ends in seconds ('' for never), a fresh nonce, whether there is a registrar, how many
	// clients it may have (0: any number). It returns what stands there then, 0 where the registrar has too many, and tells the feed
	// of a change. It removes before it writes: a Redis that is full takes changes then, but no new client.
	replace = redisdb.NewScript(`
local held = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if held ~= ARGV[2] or held == ARGV[3] then return held end
local most = tonumber(ARGV[7])
if held == '' and ARGV[6] == '1' and most > 0 and redis.call('ZCARD', KEYS[4]) >= most then return 0 end
if held ~= '' then redis.call('HDEL', KEYS[1], ARGV[1]) end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
if ARGV[4] == '' then redis.call('ZREM', KEYS[2], ARGV[1]) else redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1]) end
if ARGV[6] == '1' then
  if ARGV[3] == '' then redis.call('ZREM', KEYS[4], ARGV[1]) else redis.call('ZADD', KEYS[4], 0, ARGV[1]) end
end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ` + fmt.Sprint(feedLength) + `, '*', 'id', ARGV[1], 'nonce', ARGV[5])
return ARGV[3]`)

	scan = redisdb.NewScript(`return redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])`)

	// ending: KEYS ends. ARGV until, at most.
	ending = redisdb.NewScript(`return {redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[1]), redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])}`)
)

// Load returns a registration as Redis has it now, or ErrUnknown.
func (d *Redis) Load(ctx context.Context, id string) (*Stored, error) {
	_, s, err := d.load(ctx, id)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// load returns a registration and its text. Of one that this version cannot read it returns the id alone, beside the error.
func (d *Redis) load(ctx context.Context, id string) (text string, s *Stored, err error) {
	v, err := d.db.Eval(ctx, read, []string{shardKey(shardOf(id))}, id)
	if err != nil {
		return "", nil, err
	}
	text, ok := v.(string)
	if !ok {
		return "", nil, ErrUnknown
	}
	if s, err = readStored(id, text); err != nil {
		return text, &Stored{Registration: Registration{ID: id}}, err
	}
	return text, s, nil
}

// Create stores a new registration; ErrExists where its id is taken, ErrTooMany where its registrar has Most already.
func (d *Redis) Create(ctx context.Context, s *Stored) error {
	text, err := s.text()
	if err != nil {
		return err
	}
	held, err := d.replace(ctx, s, "", text)
	switch {
	case err != nil && !errors.Is(err, ErrNotConfirmed):
		return err
	case held == "":
		return ErrTooMany
	case held != text:
		return ErrExists
	}
	return err
}

// replace puts one text in the place of another and returns what stands there then, also with ErrNotConfirmed. By what it compares
// it may be repeated at any time, and is where it was made, or may have been, and was not confirmed. A creation is not: that would undo
// a later deletion.
func (d *Redis) replace(ctx context.Context, s *Stored, before, after string) (string, error) {
	ends, registrar := "", 0
	if at := s.LastSecretEnds(); !at.IsZero() && after != "" {
		ends = fmt.Sprint(at.Unix())
	}
	if s.Registrar != "" {
		registrar = 1
	}
	nonce, most := newNonce(), s.MaxOfRegistrar
	keys := []string{shardKey(shardOf(s.ID)), endsKey, feedKey, registrarKey(s.Registrar)}
	run := func(ctx context.Context) (string, error) {
		v, err := d.db.EvalDurable(ctx, replace, keys, s.ID, before, after, ends, nonce, registrar, most)
		held, _ := v.(string)
		return held, err
	}
	held, err := run(ctx)
	if d.Again == nil {
		return held, err
	}
	key := unconfirmedChange{s.ID}
	switch {
	case err == nil:
		d.Again.Settled(key)
	case before != "" && (errors.Is(err, ErrNotConfirmed) || errors.Is(err, ErrOutcomeUnknown)):
		d.Again.Again(key, func(ctx context.Context) error { _, err := run(ctx); return err })
	}
	return held, err
}

// unconfirmedChange names the last change of a client that could not be confirmed.
type unconfirmedChange struct{ id string }

// changeTries bounds the repetitions of a change that others overtake.
const changeTries = 16

// Change edits a registration by compare-and-swap and returns what stands there then, also with ErrNotConfirmed. An error of edit
// changes nothing and is returned.
func (d *Redis) Change(ctx context.Context, id string, edit func(*Stored) error) (*Stored, error) {
	for range changeTries {
		before, s, err := d.load(ctx, id)
		if err != nil {
			return nil, err
		}
		if err := edit(s); err != nil {
			return nil, err
		}
		s.UpdatedAt = time.Now()
		after, err := s.text()
		if err != nil {
			return nil, err
		}
		held, err := d.replace(ctx, s, before, after)
		switch {
		case err != nil && !errors.Is(err, ErrNotConfirmed):
			return nil, err
		case held == after:
			return s, err
		}
	}
	return nil, ErrOvertaken
}

// Delete removes a registration; ErrUnknown where there is none, and that is confirmed like a deletion: who repeats one that was
// not must not be told that all is well.
func (d *Redis) Delete(ctx context.Context, id string) error {
	for range changeTries {
		before, s, err := d.load(ctx, id)
		if errors.Is(err, ErrUnknown) {
			_, err = d.replace(ctx, &Stored{Registration: Registration{ID: id}}, "", "")
			return errors.Join(ErrUnknown, err)
		}
		if s == nil {
			return err
		}
		held, err := d.replace(ctx, s, before, "")
		if held == "" || err != nil && !errors.Is(err, ErrNotConfirmed) {
			return err
		}
	}
	return ErrOvertaken
}
