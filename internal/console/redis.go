package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Store keeps links and sessions in Redis, so that each node knows them. Redis has only hashes of
// their texts.
type Store struct{ db *redisdb.DB }

// NewStore returns a store in an open Redis.
func NewStore(db *redisdb.DB) *Store { return &Store{db} }

// LinkTTL is how long a link of "grantor console" works.
const LinkTTL = time.Minute

// Errors of a Store. Others mean that Redis could not answer.
var (
	// ErrNoLink: the link was used, is older than LinkTTL, or never was.
	ErrNoLink = errors.New("this link was used already, or is older than a minute")
	// ErrNoSession: the session ended, or never was.
	ErrNoSession = errors.New("no such session")
)

// session is a browser in which an operator is logged in.
type session struct {
	Actor   string    `json:"actor"` // as the audit trail has it, see actorOf
	Proxied string    `json:"proxied,omitempty"`
	Created time.Time `json:"created"`

	token string // in the cookie
}

// actorOf is the actor of what a person does here.
func actorOf(name string) string { return "console (" + name + ")" }

// newSecret draws 256 bits that a browser keeps.
func newSecret() string { return strings.ToLower(rand.Text() + rand.Text()) }

// place is the key of what a secret opens. Of a text that somebody sent nothing but its hash is
// part of a key's name.
func place(kind, secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "console:" + kind + ":" + hex.EncodeToString(sum[:])
}

// NewLink returns the code of a link that logs a person in, once, within LinkTTL.
func (s *Store) NewLink(ctx context.Context, person string) (code string, err error) {
	code = newSecret()
	return code, s.db.Set(ctx, place("link", code), []byte(person), LinkTTL)
}

// take reads a key and removes it in one step. It is no script for Eval: a repetition would find
// nothing.
var take = redisdb.NewScript(`
local v = redis.call('GET', KEYS[1])
if v then redis.call('DEL', KEYS[1]) end
return v`)

// takeLink spends a link and returns whom it logs in, or ErrNoLink. After any error the link may be
// spent.
func (s *Store) takeLink(ctx context.Context, code string) (person string, err error) {
	v, err := s.db.Once(ctx, take, []string{place("link", code)})
	if err != nil {
		return "", err
	}
	person, ok := v.(string)
	if !ok {
		return "", ErrNoLink
	}
	return person, nil
}

// begin: KEYS session. ARGV value, how long it lasts unused, and at most, in milliseconds. Beside
// the value stands its end by Redis's clock. A repetition writes the same again.
var begin = redisdb.NewScript(`
local t = redis.call('TIME')
local ends = t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[3]
redis.call('SET', KEYS[1], string.format('%.0f', ends) .. ' ' .. ARGV[1], 'PX', math.min(ARGV[2], ARGV[3]))
return 1`)

// begin stores a new session, under a token that no browser had before.
func (s *Store) begin(ctx context.Context, one session, idle, most time.Duration) (*session, error) {
	one.Created = s.db.Now().UTC()
	one.token = newSecret()
	text, err := json.Marshal(one)
	if err != nil {
		return nil, err
	}
	_, err = s.db.Eval(ctx, begin, []string{place("session", one.token)}, text, idle.Milliseconds(), most.Milliseconds())
	return &one, err
}

// touch: KEYS session. ARGV how long it lasts unused from now, in milliseconds; 0: this is no use.
// It returns the value, nil where the session has ended.
var touch = redisdb.NewScript(`
local v = redis.call('GET', KEYS[1])
if not v then return nil end
local ends, text = string.match(v, '^(%d+) (.*)$')
local t = redis.call('TIME')
local left = tonumber(ends) - t[1] * 1000 - math.floor(t[2] / 1000)
if left <= 0 then redis.call('DEL', KEYS[1]) return nil end
if ARGV[1] ~= '0' then redis.call('PEXPIRE', KEYS[1], math.min(left, ARGV[1])) end
return text`)

// session returns the session of a token, which lasts for idle from now, or ErrNoSession. With an
// idle of 0 it ends when it would have.
func (s *Store) session(ctx context.Context, token string, idle time.Duration) (*session, error) {
	v, err := s.db.Eval(ctx, touch, []string{place("session", token)}, idle.Milliseconds())
	if err != nil {
		return nil, err
	}
	text, ok := v.(string)
	if !ok {
		return nil, ErrNoSession
	}
	one := &session{token: token}
	if err := json.Unmarshal([]byte(text), one); err != nil || one.Actor == "" {
		return nil, fmt.Errorf("%w: its record cannot be read", ErrNoSession)
	}
	return one, nil
}

// end ends a session.
func (s *Store) end(ctx context.Context, token string) error {
	_, err := s.db.Del(ctx, place("session", token))
	return err
}

// formTTL is how long a form that was sent is remembered; it outlasts every session.
const formTTL = 48 * time.Hour

// first says whether a form is sent for the first time: a page with a secret that is loaded again
// would make another secret.
func (s *Store) first(ctx context.Context, form string) (bool, error) {
	return s.db.SetNX(ctx, place("form", form), []byte(newSecret()), formTTL)
}
