package tokens

import (
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Epoch stands for one uninterrupted permission of a client or a user. It is random, and is only
// compared for equality.
type Epoch = [8]byte

// Record is what an active access token says and depends on.
type Record struct {
	ClientID    string
	ClientEpoch Epoch         // the client's at issue; a client with another one has no such token
	Scope       string        // literal scopes, in the form of scopes.Set.String
	Audience    []string      // aud; empty: the token names no resource
	IssuedAt    time.Time     // whole seconds, by Store.Now
	TTL         time.Duration // whole seconds, from IssuedAt
	JWTDigest   JWTDigest     // of a JWT; zero: an opaque token, or a JWT whose record has no digest

	// Of users' tokens alone.
	Subject  string // the user's immutable id
	Username string // for display
	Session  SessionID
}

// ExpiresAt is when the token expires, by the store's clock: at this second, neither before nor
// after.
func (r *Record) ExpiresAt() time.Time { return r.IssuedAt.Add(r.TTL) }

// keepFor is how long a store keeps the record: at least a millisecond, which Redis demands.
func (r *Record) keepFor(now time.Time) time.Duration {
	return max(min(r.ExpiresAt().Sub(now), r.TTL), time.Millisecond)
}

// ErrRecord: a stored value that this version cannot read, or the value of another token. It is
// never an answer about a token: callers fail with 503.
var ErrRecord = errors.New("unreadable token record")

// The records of access tokens begin alike: version, and the second half of the token's hash. The
// first half is the key, so this half shows an answer that belongs to another token.
// Numbers are uvarints; texts have their length before them.
const (
	clientRecordV1 = 1 // client epoch, issue time, TTL, client id, scope, audience
	userRecordV1   = 2 // issue time, TTL, scope, audience; the session has the rest

	atRecordHash   = 1
	atRecordEpoch  = atRecordHash + len(Hash{})/2 // of a client's token; a user's has its times here
	atRecordIssued = atRecordEpoch + len(Epoch{})
)

func (h Hash) secondHalf() []byte { return h[len(h)/2:] }

// appendClientRecord writes the record of a client's own token.
func appendClientRecord(dst []byte, h Hash, r *Record) []byte {
	dst = append(dst, clientRecordV1)
	dst = append(dst, h.secondHalf()...)
	dst = append(dst, r.ClientEpoch[:]...)
	dst = appendTimes(dst, r)
	dst = appendText(dst, r.ClientID)
	dst = appendScope(dst, r)
	return appendTexts(dst, r.Audience)
}

// appendUserRecord writes the record of a user's access token.
func appendUserRecord(dst []byte, h Hash, r *Record) []byte {
	dst = append(dst, userRecordV1)
	dst = append(dst, h.secondHalf()...)
	dst = appendTimes(dst, r)
	dst = appendScope(dst, r)
	return appendTexts(dst, r.Audience)
}

func appendTimes(dst []byte, r *Record) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.IssuedAt.Unix()))
	return binary.AppendUvarint(dst, uint64(r.TTL/time.Second))
}

// parseClientRecord reads the record of a client's token of hash h. It returns an error that wraps
// ErrRecord.
func parseClientRecord(value []byte, h Hash) (*Record, error) {
	d := recordReader{rest: value}
	if err := d.begin(clientRecordV1, h); err != nil {
		return nil, err
	}
	r := &Record{}
	copy(r.ClientEpoch[:], d.take(len(r.ClientEpoch)))
	r.IssuedAt, r.TTL = d.times()
	r.ClientID = d.text()
	r.Scope, r.JWTDigest = d.scope()
	r.Audience = d.texts()
	if err := d.end(); err != nil {
		return nil, err
	}
	return r, nil
}

// parseUserRecord reads the record of a user's token of hash h, and completes it from its session.
// It returns an error that wraps ErrRecord.
func parseUserRecord(value []byte, h Hash, s *Session) (*Record, error) {
	d := recordReader{rest: value}
	if err := d.begin(userRecordV1, h); err != nil {
		return nil, err
	}
	r := &Record{}
	r.IssuedAt, r.TTL = d.times()
	r.Scope, r.JWTDigest = d.scope()
	r.Audience = d.texts()
	if err := d.end(); err != nil {
		return nil, err
	}
	s.complete(r)
	return r, nil
}

// begin reads what every record begins with.
func (d *recordReader) begin(version byte, h Hash) error {
	if v := d.byte(); v != version {
		return fmt.Errorf("%w: version %d", ErrRecord, v)
	}
	if subtle.ConstantTimeCompare(d.take(len(h)/2), h.secondHalf()) != 1 {
		return fmt.Errorf("%w: it belongs to another token", ErrRecord)
	}
	return nil
}

func (d *recordReader) times() (issued time.Time, ttl time.Duration) {
	issued = time.Unix(int64(d.uvarint(1<<40)), 0)
	return issued, time.Duration(d.uvarint(1<<32)) * time.Second
}
