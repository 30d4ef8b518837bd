package tokens

import "time"

// Session is one login of a user on one device: the tokens that descend from it by refresh.
type Session struct {
	Tag         Tag
	ID          SessionID
	ClientID    string
	ClientEpoch Epoch
	UserEpoch   Epoch
	Subject     string // the user's immutable id
	Username    string
	Scope       string // as granted; a refresh for less does not change it (RFC 6749 §6)
	Audience    []string
	Credential  [16]byte // keyed fingerprint of the password hash at login
	// Confirmation is what the refresh tokens of a public client are bound to (RFC 9449 §5, RFC
	// 8705 §4). Those of other clients are bound to the client.
	Confirmation Confirmation

	Created    time.Time // this time and the next two: whole milliseconds of the store's clock
	LastUsed   time.Time
	Expires    time.Time // however often the session is used
	Generation uint32    // rotations so far
	Address    string    // coarse network address of the last use, at most MaxAddress bytes
	Device     string    // what the app called the device at login; "": it did not say
}

// MaxAddress is the length of the longest coarse network address, in bytes.
const MaxAddress = 24

// SessionStart is a new session with its first tokens.
type SessionStart struct {
	Session  Session // without times
	Refresh  Token   // zero: the client may not use the refresh grant
	Access   Token
	Record   *Record       // of Access
	IdleTTL  time.Duration // the session expires when it is not used for so long
	MaxTTL   time.Duration // the session expires after so long
	EpochTTL time.Duration // of the user's epoch: longer than any session
	Maximum  int           // sessions that a user may have; 0 or less: any number
	Proof    Proof         // of the key that Record is bound to; zero: none
}

// maxBeyond is how many sessions StartSession names at most. A script that looks at every session
// of a user who has far too many would hold up others.
const maxBeyond = 100

// accessTTL is how long the first access token's record is kept: never beyond the session's end.
func (l *SessionStart) accessTTL(now time.Time) time.Duration {
	return min(l.Record.keepFor(now), l.MaxTTL)
}

// complete fills the record of an access token with what its session says. No access token
// outlives its session.
func (s *Session) complete(r *Record) {
	r.ClientID, r.ClientEpoch = s.ClientID, s.ClientEpoch
	s.completeSubject(r)
}

// completeSubject is complete for a token of another client than the session's: an exchanged one.
func (s *Session) completeSubject(r *Record) {
	r.Subject, r.Username, r.Session, r.UserEpoch = s.Subject, s.Username, s.ID, s.UserEpoch
	if left := s.Expires.Sub(r.IssuedAt).Truncate(time.Second); left < r.TTL {
		r.TTL = max(left, 0)
	}
}

// sessionTTL is how long a store keeps a session: until it was idle for too long, at least for the
// life of an access token, never beyond its end. rotate.lua has the same rule.
func sessionTTL(idle, access, left time.Duration) time.Duration { return min(max(idle, access), left) }
