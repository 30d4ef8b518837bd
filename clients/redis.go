package clients

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/registry"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// Redis keeps the clients that are not in config.toml. Clients are data: unlike everything that
// tokens rest on, they have no lifetime.
//
// They are a registry.Records of 256 shards. A sorted set holds when the last secret of a client
// ends, and the client change stream tells every node which client changed; so does the revocation
// feed, with the names that end. All of these share a slot, so that a change and its announcement
// are one script. When a secret was last used lies
// beside them, with a lifetime.
type Redis struct {
	Again registry.Repeater // nil: what could not be confirmed is the caller's to repeat

	db      *redisdb.DB
	records *registry.Records
}

// NewRedis returns the registrations in an open Redis.
func NewRedis(db *redisdb.DB) *Redis {
	return &Redis{db: db, records: registry.New(db, "clients:"+registryTag+":", shards)}
}

// Errors of Redis. Others are Redis's own and mean that it could not answer.
var (
	// ErrExists: the id is taken.
	ErrExists = errors.New("a client with this id exists")
	// ErrNotConfirmed: the change was made, and fewer replicas have it than were asked for; a
	// failover may undo it. The result stands beside it.
	ErrNotConfirmed = redisdb.ErrNotDurable
	// ErrOutcomeUnknown: Redis's answer was lost; nobody knows whether the change was made.
	ErrOutcomeUnknown = redisdb.ErrOutcomeUnknown
	// ErrTooMany: the registrar has as many registrations as it may.
	ErrTooMany = errors.New("too many clients are registered by this registrar")
	// ErrOvertaken: others keep changing this client.
	ErrOvertaken = errors.New("others keep changing this client; try again")
	// ErrCursor: a text that List did not return as a cursor.
	ErrCursor = registry.ErrCursor
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

// feedLength is about how many changes a node may be behind before it begins anew.
const feedLength = 10_000

// The scripts. Each may be executed twice.
var (
	// replace: KEYS shard, ends, change stream, clients of the registrar, revocation feed. ARGV id,
	// what the caller read ('' for nothing), what shall stand there ('' for nothing), when the last
	// secret ends in seconds ('' for never), a fresh nonce, whether there is a registrar, how many
	// clients it may have (0: any number), a nonce for the feed, the names that end. It returns
	// what stands there then, 0 where the registrar has too many, and tells change stream and feed
	// of a change. It removes before it writes: a Redis that is full takes changes then, but no new
	// client.
	replace = redisdb.NewScript(feed.AppendFunction() + `
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
append_end(KEYS[5], ARGV[8], ARGV[9], ARGV[1])
return ARGV[3]`)

	// secretEnds: KEYS ends. ARGV now, any number of times.
	secretEnds = redisdb.NewScript(`
local next = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local out = {next[2] or ''}
for i = 2, #ARGV do out[i] = redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[i]) end
return out`)

	// ending: KEYS ends. ARGV until, at most.
	ending = redisdb.NewScript(`return {redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[1]), redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])}`)
)

// Load returns a registration as Redis has it now, or ErrUnknown.
func (d *Redis) Load(ctx context.Context, id string) (*Stored, error) {
	text, err := d.records.Read(ctx, id)
	if err != nil {
		return nil, ownError(err)
	}
	return readStored(id, text)
}

// Create stores a new registration; ErrExists where its id is taken, ErrTooMany where its registrar
// has Most already.
func (d *Redis) Create(ctx context.Context, s *Stored) error {
	text, err := s.text()
	if err != nil {
		return err
	}
	held, err := d.replace(ctx, s, "", text, nil)
	switch {
	case failed(err):
		return err
	case held == "":
		return ErrTooMany
	case held != text:
		return ErrExists
	}
	return err
}

// replace puts one text in the place of another and returns what stands there then, also with
// ErrNotConfirmed. In the same step it appends to the revocation feed the names that this ends, and
// that the client changed. By what it compares it may be repeated at any time, and is where it was
// made, or may have been, and was not confirmed. A creation is not: that would undo a later
// deletion.
func (d *Redis) replace(ctx context.Context, s *Stored, before, after string, ended []string) (string, error) {
	ends, registrar := "", 0
	if at := s.LastSecretEnds(); !at.IsZero() && after != "" {
		ends = fmt.Sprint(at.Unix())
	}
	if s.Registrar != "" {
		registrar = 1
	}
	nonce, most := newNonce(), s.MaxOfRegistrar
	keys := []string{d.records.Key(s.ID), endsKey, feedKey, registrarKey(s.Registrar), feed.StreamKey}
	run := func(ctx context.Context) (string, error) {
		v, err := d.db.EvalDurable(ctx, replace, keys, s.ID, before, after, ends, nonce, registrar, most,
			feed.Nonce(), feed.Join(ended...))
		held, _ := v.(string)
		return held, err
	}
	held, err := run(ctx)
	if err == nil || before != "" {
		again := func(ctx context.Context) error { _, err := run(ctx); return err }
		d.records.Repeat(d.Again, s.ID, err, again, ErrNotConfirmed, ErrOutcomeUnknown)
	}
	return held, err
}

// Change edits a registration by compare-and-swap and returns what stands there then, also with
// ErrNotConfirmed. An error of edit changes nothing and is returned.
func (d *Redis) Change(ctx context.Context, id string, edit func(*Stored) error) (after *Stored, err error) {
	err = d.records.Change(ctx, id, func(before string) (bool, error) {
		s, err := readStored(id, before)
		if err != nil {
			return true, err
		}
		ended, err := s.change(before, edit)
		if err != nil {
			return true, err
		}
		text, err := s.text()
		if err != nil {
			return true, err
		}
		held, err := d.replace(ctx, s, before, text, ended)
		if failed(err) {
			return true, err
		}
		if held != text {
			return false, nil // overtaken, whatever was confirmed
		}
		after = s
		return true, err
	})
	return after, ownError(err)
}

// change edits a registration whose text was before. Where that takes something from the client's
// tokens, it draws another edition and returns the names that end.
func (s *Stored) change(before string, edit func(*Stored) error) (ended []string, err error) {
	old, err := readStored(s.ID, before) // edit may change what s and a copy of it share
	if err == nil {
		err = edit(s)
	}
	if err != nil {
		return nil, err
	}
	if s.UpdatedAt = time.Now(); s.narrower(old) {
		s.Edition, ended = NewEpoch(), old.feedNames()
	}
	return ended, nil
}

// failed says whether a change was not made: ErrNotConfirmed is none.
func failed(err error) bool { return err != nil && !errors.Is(err, ErrNotConfirmed) }

// ownError turns an error of the registry into one of this package.
func ownError(err error) error {
	switch {
	case errors.Is(err, registry.ErrUnknown):
		return ErrUnknown
	case errors.Is(err, registry.ErrOvertaken):
		return ErrOvertaken
	case errors.Is(err, registry.ErrAnswer):
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return err
}

// Delete removes a registration; ErrUnknown where there is none, and that is confirmed like a
// deletion: who repeats one that was not confirmed must not read that all is well. A record that
// this version cannot read is removed too.
func (d *Redis) Delete(ctx context.Context, id string) error {
	err := d.records.Change(ctx, id, func(before string) (bool, error) {
		s, err := readStored(id, before)
		ended := []string{feed.Nameless} // nobody can tell the name that an unreadable record has
		if err == nil {
			ended = s.feedNames()
		} else {
			s = &Stored{Registration: Registration{ID: id}}
		}
		held, err := d.replace(ctx, s, before, "", ended)
		if held != "" && !failed(err) {
			return false, nil // overtaken
		}
		return true, err
	})
	if errors.Is(err, registry.ErrUnknown) {
		_, err = d.replace(ctx, &Stored{Registration: Registration{ID: id}}, "", "", nil)
		return errors.Join(ErrUnknown, err)
	}
	return ownError(err)
}
