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
	ClientID     string
	ClientEpoch  Epoch         // the client's at issue; a client with another one has no such token
	Scope        string        // literal scopes, in the form of scopes.Set.String
	Audience     []string      // aud; empty: the token names no resource
	IssuedAt     time.Time     // whole seconds, by Store.Now
	TTL          time.Duration // whole seconds, from IssuedAt
	JWTDigest    JWTDigest     // of a JWT; zero: an opaque token, or a JWT whose record has no digest
	NoExpiry     bool          // of an API key without an end; its TTL is 0
	Networks     []string      // of an API key: from where it may be used, as CIDR; empty: from everywhere
	Claims       string        // custom claims, as claims.Set.String; "": none
	Exchange     *Exchange     // what it came from (RFC 8693); nil: it was not exchanged
	Confirmation Confirmation  // what the token is bound to; an API key never is

	// Of users' tokens alone.
	Subject   string // the user's immutable id
	Username  string // for display
	Session   SessionID
	UserEpoch Epoch // of the session: see feed.User
}

// ExpiresAt is when the token expires, by the store's clock: at this second, neither before nor
// after. Zero: it is an API key without an end.
func (r *Record) ExpiresAt() time.Time {
	if r.NoExpiry {
		return time.Time{}
	}
	return r.IssuedAt.Add(r.TTL)
}

// Expired says whether the token has expired at a time of the store's clock.
func (r *Record) Expired(now time.Time) bool { return !r.NoExpiry && !now.Before(r.ExpiresAt()) }

// keepFor is how long a store keeps the record: at least a millisecond, which Redis demands.
func (r *Record) keepFor(now time.Time) time.Duration {
	return max(min(r.ExpiresAt().Sub(now), r.TTL), time.Millisecond)
}

// ErrRecord: a stored value that this version cannot read, or the value of another token. It is
// never an answer about a token: callers fail with 503.
var ErrRecord = errors.New("unreadable token record")

// The records of access tokens begin alike: version, and the second half of the token's hash. The
// first half is the key, so this half shows an answer that belongs to another token.
// Numbers are uvarints; texts have their length before them. See also boundRecord.
const (
	clientRecordV1 = 1 // client epoch, issue time, TTL, client id, scope, audience
	userRecordV1   = 2 // issue time, TTL, scope, audience; the session has the rest
	keyRecordV1    = 3 // of an API key: as clientRecordV1, and then the networks

	exchangedRecordV1 = 6 // of an exchanged token: as clientRecordV1, and then what it came from

	atRecordHash   = 1
	atRecordEpoch  = atRecordHash + len(Hash{})/2 // of a client's token; a user's has its times here
	atRecordIssued = atRecordEpoch + len(Epoch{})
)

func (h Hash) secondHalf() []byte { return h[len(h)/2:] }

// appendClientRecord writes the record of a client's own token.
func appendClientRecord(dst []byte, h Hash, r *Record) []byte {
	return r.Confirmation.appendTo(appendRecordOfClient(dst, r.Confirmation.versionOf(clientRecordV1), h, r))
}

// appendKeyRecord writes the record of an API key.
func appendKeyRecord(dst []byte, h Hash, r *Record) []byte {
	return appendTexts(appendRecordOfClient(dst, keyRecordV1, h, r), r.Networks)
}

func appendRecordOfClient(dst []byte, version byte, h Hash, r *Record) []byte {
	dst = append(dst, version)
	dst = append(dst, h.secondHalf()...)
	dst = append(dst, r.ClientEpoch[:]...)
	dst = appendTimes(dst, r)
	dst = appendText(dst, r.ClientID)
	dst = appendScope(dst, r)
	return appendTexts(dst, r.Audience)
}

// appendUserRecord writes the record of a user's access token.
func appendUserRecord(dst []byte, h Hash, r *Record) []byte {
	dst = append(dst, r.Confirmation.versionOf(userRecordV1))
	dst = append(dst, h.secondHalf()...)
	dst = appendTimes(dst, r)
	dst = appendScope(dst, r)
	return r.Confirmation.appendTo(appendTexts(dst, r.Audience))
}

func appendTimes(dst []byte, r *Record) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.IssuedAt.Unix()))
	return binary.AppendUvarint(dst, uint64(r.TTL/time.Second))
}

// parseClientRecord reads the record of a client's token of hash h. It returns an error that wraps
// ErrRecord.
func parseClientRecord(value []byte, h Hash) (*Record, error) {
	d := recordReader{rest: value}
	return d.ofClient(clientRecordV1, h)
}

// parseKeyRecord reads the record of an API key of hash h. It returns an error that wraps
// ErrRecord.
func parseKeyRecord(value []byte, h Hash) (*Record, error) {
	d := recordReader{rest: value}
	return d.ofClient(keyRecordV1, h)
}

// ofClient reads a record of a client's own token, of an API key or of an exchanged token.
func (d *recordReader) ofClient(version byte, h Hash) (*Record, error) {
	bound, err := d.begin(version, h)
	if err != nil {
		return nil, err
	}
	r := &Record{}
	copy(r.ClientEpoch[:], d.take(len(r.ClientEpoch)))
	r.IssuedAt, r.TTL = d.times()
	r.ClientID = d.text()
	r.Scope, r.Claims, r.JWTDigest = d.scope()
	r.Audience = d.texts()
	switch version {
	case keyRecordV1:
		r.NoExpiry, r.Networks = r.TTL == 0, d.texts()
	case exchangedRecordV1:
		r.Exchange = d.exchange()
	}
	if bound {
		r.Confirmation = d.confirmation()
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	return r, nil
}

// parseUserRecord reads the record of a user's token of hash h, and completes it from its session.
// It returns an error that wraps ErrRecord.
func parseUserRecord(value []byte, h Hash, s *Session) (*Record, error) {
	d := recordReader{rest: value}
	bound, err := d.begin(userRecordV1, h)
	if err != nil {
		return nil, err
	}
	r := &Record{}
	r.IssuedAt, r.TTL = d.times()
	r.Scope, r.Claims, r.JWTDigest = d.scope()
	r.Audience = d.texts()
	if bound {
		r.Confirmation = d.confirmation()
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	s.complete(r)
	return r, nil
}

// begin reads what every record begins with, and says whether a confirmation is at its end.
func (d *recordReader) begin(version byte, h Hash) (bound bool, err error) {
	v := d.byte()
	if v != version && (v != version|boundRecord || version == keyRecordV1) {
		return false, fmt.Errorf("%w: version %d", ErrRecord, v)
	}
	if subtle.ConstantTimeCompare(d.take(len(h)/2), h.secondHalf()) != 1 {
		return false, fmt.Errorf("%w: it belongs to another token", ErrRecord)
	}
	return v != version, nil
}

func (d *recordReader) times() (issued time.Time, ttl time.Duration) {
	issued = time.Unix(int64(d.uvarint(1<<40)), 0)
	return issued, time.Duration(d.uvarint(1<<32)) * time.Second
}
