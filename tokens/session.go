package tokens

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Session is one log-in of a user and all tokens that descend from it.
type Session struct {
	Tag         Tag
	ID          SessionID
	ClientID    string
	ClientEpoch Epoch
	UserEpoch   Epoch
	Subject     string // the user's immutable id
	Username    string
	Scope       string // as it was granted; a narrowed refresh leaves it as it is (RFC 6749 §6)
	Audience    []string
	Credential  [16]byte  // a keyed fingerprint of the password hash at the log-in
	Created     time.Time // of these three, milliseconds count; the store's clock
	LastUsed    time.Time
	Expires     time.Time // absolute
	Generation  uint32    // rotations so far
	Address     string    // of the last use, coarse; at most MaxAddress bytes
}

// MaxAddress is the room for a coarse address, in bytes.
const MaxAddress = 24

// SessionStart is a new session with its first tokens.
type SessionStart struct {
	Session  Session // without times
	Refresh  Token   // zero: the client has no refresh grant
	Access   Token
	Record   *Record       // of Access
	IdleTTL  time.Duration // how long the family lives unused
	MaxTTL   time.Duration // how long it lives at all
	EpochTTL time.Duration // how long a user's epoch lives: longer than any family
}

// Rotation is one use of a refresh token. New, Access and Box are drawn before the store is
// asked, so a repeated call is the same call.
type Rotation struct {
	Old, New      Token
	ClientID      string
	ClientEpoch   Epoch
	IdleTTL       time.Duration
	RetryWindow   time.Duration // how long a repetition gets the same answer; 0: never
	Access        Token
	Record        *Record  // of Access
	RequestHash   [16]byte // hash of what was asked for: scope and resources
	RetryResponse []byte   // the answer, sealed so that Old alone opens it
	Address       string
	Outage        Outage // of what the caller asks beside the store: it forgives a late retry as one of the store's does
}

// Rotated is what became of a Rotation.
type Rotated struct {
	RetryResponse []byte        // nil: this call's own tokens are the answer. Else a retry: the answer is in here
	NewAccess     bool          // with Box: another scope was asked for, so only the refresh token comes from the box
	AccessTTL     time.Duration // what is left of the access token's life
	// Reissued says that a retry came after the retry response was gone, through an outage of the store: it got a new
	// pair in the place of one that nobody is believed to have.
	Reissued bool
	// Suspicious says that a retry came from another network, or much later than a lost answer explains.
	Suspicious bool
}

// Reason says in the log why a refresh was refused; the client is told invalid_grant.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	ReasonNoSession    Reason = "family_gone"
	ReasonOtherClient  Reason = "other_clients_token" // no effect
	ReasonEnded        Reason = "family_expired"      // expired, or an epoch of client or user changed: family ended
	ReasonAccessGone   Reason = "retry_after_revocation"
	ReasonLostRotation Reason = "refresh_rotation_lost" // Redis lost it: family ended; no theft
	ReasonReuse        Reason = "refresh_token_reused"  // family ended; theft or a client's fault
	ReasonLogout       Reason = "logged_out_meanwhile"
)

// ends says whether a refresh that is refused for this ends the family.
func (r Reason) ends() bool { return r == ReasonEnded || r == ReasonLostRotation || r == ReasonReuse }

// GrantError is a refusal by the state of a family. It is a "no", not a fault.
type GrantError struct {
	Reason Reason
	// Unconfirmed is why the family's end is not as durable as the store was told to make it; nil: it is, or nothing
	// was ended. The verdict holds all the same.
	Unconfirmed error
}

func (e *GrantError) Error() string { return "the grant is not valid: " + string(e.Reason) }

// suspiciousAge is when a retry comes much later than a lost answer explains.
const suspiciousAge = 10 * time.Second

// A family's value is a header of fixed width, which scripts read and write, and a body that they copy.
// Numbers in it are decimal text, the generation hexadecimal.
const (
	familyV1  = 1
	atCurrent = 1
	atPrev    = 33
	atGen     = 65
	atUser    = 73
	atClient  = 81
	atExpires = 89
	atUsed    = 102
	atCreated = 115
	atMarks   = 128 // three digits, of which versions before made sessions strict
	atAddress = 131
	atName    = 155 // four digits: the length of the client's id, then the id, then the body
)

// marksV1 is what this version writes at atMarks.
const marksV1 = "000"

// appendFamilyBody writes what no script looks at.
func appendFamilyBody(dst []byte, f *Session) []byte {
	dst = append(dst, f.Credential[:]...)
	dst = appendText(dst, f.Subject)
	dst = appendText(dst, f.Username)
	dst = appendText(dst, f.Scope)
	dst = binary.AppendUvarint(dst, uint64(len(f.Audience)))
	for _, a := range f.Audience {
		dst = appendText(dst, a)
	}
	return dst
}

// parseFamily reads a family's value. It returns an error that wraps ErrRecord.
func parseFamily(value []byte, tag Tag, id SessionID) (*Session, error) {
	bad := func(what string) error { return fmt.Errorf("%w: family: %s", ErrRecord, what) }
	if len(value) < atName+4 || value[0] != familyV1 {
		return nil, bad("version or length")
	}
	f := &Session{Tag: tag, ID: id, UserEpoch: Epoch(value[atUser:]), ClientEpoch: Epoch(value[atClient:]),
		Address: strings.TrimRight(string(value[atAddress:atName]), " ")}
	gen, err0 := strconv.ParseUint(string(value[atGen:atUser]), 16, 32)
	var times [3]int64
	errs := []error{err0}
	for i, at := range []int{atExpires, atUsed, atCreated} {
		n, err := strconv.ParseInt(string(value[at:at+13]), 10, 64)
		times[i], errs = n, append(errs, err)
	}
	size, err := strconv.Atoi(string(value[atName : atName+4]))
	if errors.Join(append(errs, err)...) != nil || size < 0 {
		return nil, bad("header")
	}
	f.Generation = uint32(gen)
	f.Expires, f.LastUsed, f.Created = time.UnixMilli(times[0]), time.UnixMilli(times[1]), time.UnixMilli(times[2])
	d := decoder{rest: value[atName+4:]}
	f.ClientID = string(d.take(size))
	copy(f.Credential[:], d.take(len(f.Credential)))
	f.Subject, f.Username, f.Scope = d.text(), d.text(), d.text()
	f.Audience = d.texts()
	if d.failed || len(d.rest) > 0 {
		return nil, bad("body")
	}
	return f, nil
}

// recordUserV1 is the first byte of the record of a user's access token: what is its own. Client, subject
// and the rest stand in the family, which every look-up reads anyway.
const recordUserV1 = 2

func appendUserRecord(dst []byte, h Hash, r *Record) []byte {
	dst = append(dst, recordUserV1)
	dst = append(dst, h[16:]...)
	dst = binary.AppendUvarint(dst, uint64(r.IssuedAt.Unix()))
	dst = binary.AppendUvarint(dst, uint64(r.TTL/time.Second))
	dst = appendText(dst, r.Scope)
	dst = binary.AppendUvarint(dst, uint64(len(r.Audience)))
	for _, a := range r.Audience {
		dst = appendText(dst, a)
	}
	return dst
}

// parseUserRecord puts a user's record together with its family's.
func parseUserRecord(value []byte, h Hash, f *Session) (*Record, error) {
	d := decoder{rest: value}
	if v := d.byte(); v != recordUserV1 {
		return nil, fmt.Errorf("%w: version %d", ErrRecord, v)
	}
	if string(d.take(16)) != string(h[16:]) {
		return nil, fmt.Errorf("%w: it belongs to another token", ErrRecord)
	}
	r := &Record{IssuedAt: time.Unix(int64(d.uvarint(1<<40)), 0), TTL: time.Duration(d.uvarint(1<<32)) * time.Second}
	r.Scope = d.text()
	r.Audience = d.texts()
	if d.failed || len(d.rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes do not fit its layout", ErrRecord, len(value))
	}
	f.complete(r)
	return r, nil
}

// complete fills a record with what the family knows; no access token outlives its family.
func (f *Session) complete(r *Record) {
	r.ClientID, r.ClientEpoch = f.ClientID, f.ClientEpoch
	r.Subject, r.Username, r.Session = f.Subject, f.Username, f.ID
	if left := f.Expires.Sub(r.IssuedAt).Truncate(time.Second); left < r.TTL {
		r.TTL = max(left, 0)
	}
}

// texts reads a list with its length before it; none is nil.
func (d *decoder) texts() (list []string) {
	n := d.uvarint(maxAudiences)
	for range n {
		list = append(list, d.text())
	}
	return list
}

// familyLife is how long a family's key lives: by its idle life, at least as long as an access token, and
// never beyond its end.
func familyLife(idle, access, left time.Duration) time.Duration { return min(max(idle, access), left) }
