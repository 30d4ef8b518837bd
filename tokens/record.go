package tokens

import (
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Epoch stands for one uninterrupted permission of a client or a user; it is random
// and compared for equality alone.
type Epoch = [8]byte

// Record is what a live access token rests on and says.
type Record struct {
	ClientID    string
	ClientEpoch Epoch         // the client's at issue; another one now ends the token
	Scope       string        // literal scopes, expanded, in the form of scopes.Set.String
	Audience    []string      // aud; empty: the token names no resource
	IssuedAt    time.Time     // whole seconds, by Store.Now
	TTL         time.Duration // whole seconds, from IssuedAt

	// Of users' tokens alone.
	Subject  string // the user's immutable id
	Username string // the name of the log-in, for display
	Session  SessionID
}

// ExpiresAt is when the token ends by itself, by the store's clock: at this second, neither before nor after.
func (r *Record) ExpiresAt() time.Time { return r.IssuedAt.Add(r.TTL) }

// left is for how long a store keeps the record, which a store's key needs at least a millisecond for.
func (r *Record) left(now time.Time) time.Duration {
	return max(min(r.ExpiresAt().Sub(now), r.TTL), time.Millisecond)
}

// ErrRecord: a stored value that this version cannot read, or the value of another
// token. It is never an answer about a token: callers fail with 503.
var ErrRecord = errors.New("unreadable token record")

// recordV1 is the first byte of the first layout. Unknown versions are refused.
const recordV1 = 1

// appendRecord writes the record of a client's token. Layout: version, the second half of the token's
// hash (the first is the key, so a mixed-up answer is noticed), client epoch, issue
// time, life, client id, scope, audiences; numbers as uvarints, texts with their length before them.
func appendRecord(dst []byte, h Hash, r *Record) []byte {
	dst = append(dst, recordV1)
	dst = append(dst, h[16:]...)
	dst = append(dst, r.ClientEpoch[:]...)
	dst = binary.AppendUvarint(dst, uint64(r.IssuedAt.Unix()))
	dst = binary.AppendUvarint(dst, uint64(r.TTL/time.Second))
	dst = appendText(dst, r.ClientID)
	dst = appendText(dst, r.Scope)
	dst = binary.AppendUvarint(dst, uint64(len(r.Audience)))
	for _, a := range r.Audience {
		dst = appendText(dst, a)
	}
	return dst
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// parseRecord reads what appendRecord wrote for the token of hash h. It returns an
// error that wraps ErrRecord.
func parseRecord(value []byte, h Hash) (*Record, error) {
	d := decoder{rest: value}
	if v := d.byte(); v != recordV1 {
		return nil, fmt.Errorf("%w: version %d", ErrRecord, v)
	}
	if subtle.ConstantTimeCompare(d.take(16), h[16:]) != 1 {
		return nil, fmt.Errorf("%w: it belongs to another token", ErrRecord)
	}
	r := &Record{}
	copy(r.ClientEpoch[:], d.take(len(r.ClientEpoch)))
	r.IssuedAt = time.Unix(int64(d.uvarint(1<<40)), 0)
	r.TTL = time.Duration(d.uvarint(1<<32)) * time.Second
	r.ClientID = d.text()
	r.Scope = d.text()
	if n := d.uvarint(maxAudiences); n > 0 {
		r.Audience = make([]string, n)
		for i := range r.Audience {
			r.Audience[i] = d.text()
		}
	}
	if d.failed || len(d.rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes do not fit its layout", ErrRecord, len(value))
	}
	return r, nil
}

// maxAudiences bounds what a record may claim, so that a broken one costs nothing.
const maxAudiences = 1 << 8

// decoder reads a record from its front. After the first failure everything is zero.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) take(n int) []byte {
	if d.failed || n > len(d.rest) {
		d.failed = true
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) byte() byte {
	if b := d.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.failed || n <= 0 || v > limit {
		d.failed = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) text() string { return string(d.take(int(d.uvarint(1 << 16)))) }
