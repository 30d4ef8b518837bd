package clients

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/redisdb"
)

// Redis keeps the clients that are not in config.toml. Clients are data: unlike everything that tokens rest on, they
// have no lifetime.
//
// They lie in 256 hashes, chosen by SHA-256 of the id, so that no text that somebody typed is part of a key's name; a sorted
// set holds when the last secret of a client ends; and a stream, the feed, tells every node which client changed. All of
// these share a slot, so that a change and its announcement are one script. Which secret was used when lies beside
// them, with a lifetime.
type Redis struct{ db *redisdb.DB }

// NewRedis returns the registrations in an open Redis.
func NewRedis(db *redisdb.DB) *Redis { return &Redis{db} }

// Errors of Redis. Others are Redis's own and mean that it could not answer.
var (
	// ErrExists: the id is taken.
	ErrExists = errors.New("a client with this id exists")
	// ErrOvertaken: others keep changing this client.
	ErrOvertaken = errors.New("others keep changing this client; try again")
	// ErrRecord: a stored registration that this version cannot read.
	ErrRecord = errors.New("unreadable client registration")
)

// Stored is a registration with what belongs to its life in the registry.
type Stored struct {
	Registration
	Epoch     Epoch
	CreatedAt time.Time
	UpdatedAt time.Time
	Token     Hash   // of the registration access token (RFC 7592); zero: it has none
	Dynamic   bool   // made by RFC 7591, with the limits of such a client
	Limit     string // the most that Scope may come to be by RFC 7592: rules of the client that opened the registration
}

// record is the JSON of a Stored.
type record struct {
	Version int `json:"v"`
	Registration
	Epoch     string    `json:"epoch"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Token     *Hash     `json:"registration_token,omitempty"`
	Dynamic   bool      `json:"dynamic,omitempty"`
	Limit     string    `json:"limit,omitempty"`
}

const recordVersion = 1

func (s *Stored) text() (string, error) {
	r := record{Version: recordVersion, Registration: s.Registration, Epoch: hex.EncodeToString(s.Epoch[:]),
		CreatedAt: s.CreatedAt.UTC().Truncate(time.Second), UpdatedAt: s.UpdatedAt.UTC().Truncate(time.Second), Dynamic: s.Dynamic, Limit: s.Limit}
	if s.Token != (Hash{}) {
		r.Token = &s.Token
	}
	text, err := json.Marshal(r)
	return string(text), err
}

// readStored reads what text wrote for the client id.
func readStored(id, text string) (*Stored, error) {
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil || r.Version != recordVersion {
		return nil, fmt.Errorf("%w: version %d", ErrRecord, r.Version)
	}
	s := &Stored{Registration: r.Registration, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Dynamic: r.Dynamic, Limit: r.Limit}
	if r.ClientID != id {
		return nil, fmt.Errorf("%w: it belongs to another client", ErrRecord)
	}
	epoch, err := hex.DecodeString(r.Epoch)
	if err != nil || len(epoch) != len(s.Epoch) {
		return nil, fmt.Errorf("%w: its epoch", ErrRecord)
	}
	copy(s.Epoch[:], epoch)
	if r.Token != nil {
		s.Token = *r.Token
	}
	return s, nil
}

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

	// replace: KEYS shard, ends, feed. ARGV id, what the caller read ('' for nothing), what shall stand there ('' for nothing), when the
	// last secret ends in seconds ('' for never). It returns what stands there then, and tells the feed of a change.
	replace = redisdb.NewScript(`
local held = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if held ~= ARGV[2] or held == ARGV[3] then return held end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
if ARGV[4] == '' then redis.call('ZREM', KEYS[2], ARGV[1]) else redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1]) end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ` + fmt.Sprint(feedLength) + `, '*', 'id', ARGV[1])
return ARGV[3]`)

	scan = redisdb.NewScript(`return redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])`)

	// ending: KEYS ends. ARGV until, at most.
	ending = redisdb.NewScript(`return {redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[1]), redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])}`)
)

// Load returns a registration as Redis has it now, or ErrUnknown.
func (d *Redis) Load(ctx context.Context, id string) (*Stored, error) {
	v, err := d.db.Eval(ctx, read, []string{shardKey(shardOf(id))}, id)
	if err != nil {
		return nil, err
	}
	text, ok := v.(string)
	if !ok {
		return nil, ErrUnknown
	}
	return readStored(id, text)
}

// Create stores a new registration; ErrExists where its id is taken.
func (d *Redis) Create(ctx context.Context, s *Stored) error {
	text, err := s.text()
	if err != nil {
		return err
	}
	held, err := d.replace(ctx, &s.Registration, "", text)
	if err == nil && held != text {
		return ErrExists
	}
	return err
}

func (d *Redis) replace(ctx context.Context, r *Registration, before, after string) (string, error) {
	ends := ""
	if at := r.LastSecretEnds(); !at.IsZero() && after != "" {
		ends = fmt.Sprint(at.Unix())
	}
	v, err := d.db.EvalDurable(ctx, replace, []string{shardKey(shardOf(r.ClientID)), endsKey, feedKey}, r.ClientID, before, after, ends)
	held, _ := v.(string)
	return held, err
}

// changeTries bounds the repetitions of a change that others overtake.
const changeTries = 16

// Change edits a registration by compare-and-swap and returns what stands there then. An error of edit changes nothing and is
// returned.
func (d *Redis) Change(ctx context.Context, id string, edit func(*Stored) error) (*Stored, error) {
	for range changeTries {
		v, err := d.db.Eval(ctx, read, []string{shardKey(shardOf(id))}, id)
		if err != nil {
			return nil, err
		}
		before, ok := v.(string)
		if !ok {
			return nil, ErrUnknown
		}
		s, err := readStored(id, before)
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
		held, err := d.replace(ctx, &s.Registration, before, after)
		if err != nil || held == after {
			return s, err
		}
	}
	return nil, ErrOvertaken
}

// Delete removes a registration; ErrUnknown where there is none.
func (d *Redis) Delete(ctx context.Context, id string) error {
	for range changeTries {
		v, err := d.db.Eval(ctx, read, []string{shardKey(shardOf(id))}, id)
		if err != nil {
			return err
		}
		before, ok := v.(string)
		if !ok {
			return ErrUnknown
		}
		held, err := d.replace(ctx, &Registration{ClientID: id}, before, "")
		if err != nil || held == "" {
			return err
		}
	}
	return ErrOvertaken
}

// List returns a page of registrations, in no order, and the cursor of the next; "" begins, and "" is the end. One that
// changes meanwhile may come twice.
func (d *Redis) List(ctx context.Context, cursor string, size int) ([]*Stored, string, error) {
	shard, at, ok := readCursor(cursor)
	if !ok {
		return nil, "", errors.New("this is no cursor of this list")
	}
	var found []*Stored
	for shard < shards && len(found) < size {
		v, err := d.db.Eval(ctx, scan, []string{shardKey(byte(shard))}, fmt.Sprint(at), size)
		if err != nil {
			return nil, "", err
		}
		page, next, err := readPage(v)
		if err != nil {
			return nil, "", err
		}
		found = append(found, page...)
		if at = next; at == 0 {
			shard++
		}
	}
	if shard >= shards {
		return found, "", nil
	}
	return found, fmt.Sprintf("%x.%d", shard, at), nil
}

func readCursor(cursor string) (shard, at uint64, ok bool) {
	if cursor == "" {
		return 0, 0, true
	}
	first, second, _ := strings.Cut(cursor, ".")
	shard, err1 := strconv.ParseUint(first, 16, 64)
	at, err2 := strconv.ParseUint(second, 10, 64)
	return shard, at, err1 == nil && err2 == nil && shard < shards
}

// IsCursor says whether a text can be a cursor of List.
func IsCursor(text string) bool {
	_, _, ok := readCursor(text)
	return ok
}

// readPage reads what HSCAN answers.
func readPage(v any) (found []*Stored, next uint64, err error) {
	answer, _ := v.([]any)
	if len(answer) != 2 {
		return nil, 0, fmt.Errorf("%w: unexpected answer of HSCAN", ErrRecord)
	}
	cursor, _ := answer[0].(string)
	if _, err := fmt.Sscan(cursor, &next); err != nil {
		return nil, 0, fmt.Errorf("%w: unexpected answer of HSCAN", ErrRecord)
	}
	pairs, _ := answer[1].([]any)
	for i := 0; i+1 < len(pairs); i += 2 {
		id, _ := pairs[i].(string)
		text, _ := pairs[i+1].(string)
		s, err := readStored(id, text)
		if err != nil {
			return nil, 0, err
		}
		found = append(found, s)
	}
	return found, next, nil
}

// All walks over every registration, each once.
func (d *Redis) All(ctx context.Context, visit func(*Stored) error) error {
	seen, shard := map[string]bool{}, byte(0) // HSCAN may repeat itself, within one hash
	for cursor := ""; ; {
		page, next, err := d.List(ctx, cursor, 1000)
		if err != nil {
			return err
		}
		for _, s := range page {
			if at := shardOf(s.ClientID); at != shard {
				clear(seen)
				shard = at
			}
			if seen[s.ClientID] {
				continue
			}
			seen[s.ClientID] = true
			if err := visit(s); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		cursor = next
	}
}

// Ending returns how many clients have no secret that lives beyond until, and the ids of some.
func (d *Redis) Ending(ctx context.Context, until time.Time) (int, []string, error) {
	v, err := d.db.Eval(ctx, ending, []string{endsKey}, until.Unix(), 20)
	if err != nil {
		return 0, nil, err
	}
	answer, _ := v.([]any)
	if len(answer) != 2 {
		return 0, nil, fmt.Errorf("%w: unexpected answer of ZCOUNT", ErrRecord)
	}
	n, _ := answer[0].(int64)
	list, _ := answer[1].([]any)
	var ids []string
	for _, id := range list {
		if text, ok := id.(string); ok {
			ids = append(ids, text)
		}
	}
	return int(n), ids, nil
}
