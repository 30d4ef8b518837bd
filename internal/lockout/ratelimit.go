// Package lockout counts failures and refuses further attempts after too many: of a client's secret
// from one address (RFC 6749 §2.3.1), of a user's password. Subjects are hashed before they reach a
// store: no name, id or address is part of a key.
package lockout

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// Counter counts entries of subjects. Methods may be called by any number of goroutines. After an
// error of Add it is not known whether it counted, and it is never repeated; Hold, Keep and Release
// name their entry, so a repetition counts nothing twice.
type Counter interface {
	// Now is this node's clock, against which the lengths that other methods return are counted.
	Now() time.Time

	// Add counts one failure of subject and returns how many there are in the running window, which
	// begins with the first, and how long that window still lasts.
	Add(ctx context.Context, subject Subject, window time.Duration) (n int, left time.Duration, err error)

	// Count returns what Add returned last, and counts nothing.
	Count(ctx context.Context, subject Subject) (n int, left time.Duration, err error)
	// Forget ends the running window of subject.
	Forget(ctx context.Context, subject Subject) error

	// Hold reserves an entry for pending, unless limit entries are reserved or kept already.
	Hold(ctx context.Context, subject Subject, entry EntryID, limit int, pending time.Duration) (Hold, error)
	// Keep lets an entry count for ttl from now, reserved or not.
	Keep(ctx context.Context, subject Subject, entry EntryID, ttl time.Duration) error
	// Release ends a reservation. What is kept stays.
	Release(ctx context.Context, subject Subject, entry EntryID) error
	// Kept returns how many entries of subject are kept.
	Kept(ctx context.Context, subject Subject) (int, error)
	// Entries returns how long each kept entry of subject still counts, the first to end first.
	Entries(ctx context.Context, subject Subject) ([]time.Duration, error)
	// Note keeps a text among those of subject for ttl from now. Of more than limit texts the first
	// to end are dropped.
	Note(ctx context.Context, subject Subject, text string, ttl time.Duration, limit int) error
	// Noted returns the texts of subject, the last to end first.
	Noted(ctx context.Context, subject Subject) ([]string, error)
	// Reset forgets the kept entries of subject and the reservation of entry, and no other
	// reservation.
	Reset(ctx context.Context, subject Subject, entry EntryID) error
}

// Hold is the answer to a reservation.
type Hold struct {
	Result Result
	Left   time.Duration // Full: until an entry expires
}

// Result says whether an entry was reserved.
type Result int

// The results.
const (
	Held Result = iota
	Busy        // kept entries and reservations together reach the limit: a reservation may end soon
	Full        // kept entries alone reach the limit
)

// EntryID names one entry of a subject: a reservation, or a failure that is kept.
type EntryID [12]byte

func newEntryID() (e EntryID) {
	rand.Read(e[:]) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return e
}

// Subject is what is counted: the hash of a kind and its parts.
type Subject [16]byte

// SubjectOf hashes a kind of attempt and the parts that name its subject.
func SubjectOf(kind string, parts ...string) Subject {
	h := sha256.New()
	h.Write([]byte(kind))
	for _, p := range parts {
		sum := sha256.Sum256([]byte(p))
		h.Write(sum[:])
	}
	return Subject(h.Sum(nil)[:16])
}

// RateLimit refuses a subject after too many failures. All nodes share the count. A node knows from
// its own last failure whether a subject is refused, so requests without failure ask no store: n
// nodes allow at most n-1 failures more.
type RateLimit struct {
	counter Counter
	kind    string
	max     int
	window  time.Duration

	mu      sync.Mutex
	blocked map[Subject]block
}

// block is a subject that is refused.
type block struct {
	until time.Time
	asked time.Time // when the store said so
}

// NewRateLimit returns a limit of most failures in a window. kind keeps its counts apart from
// others.
func NewRateLimit(counter Counter, kind string, limit int, window time.Duration) *RateLimit {
	return &RateLimit{counter: counter, kind: kind, max: limit, window: window, blocked: map[Subject]block{}}
}

// maxBlocked bounds the subjects that a node remembers. A dropped subject is found again at its
// next failure.
const maxBlocked = 1 << 16

// Blocked returns how long subject is still refused; 0: it is not refused.
func (l *RateLimit) Blocked(subject string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.blocked) == 0 {
		return 0
	}
	s := SubjectOf(l.kind, subject)
	b, ok := l.blocked[s]
	if !ok {
		return 0
	}
	if left := b.until.Sub(l.counter.Now()); left > 0 {
		return left
	}
	delete(l.blocked, s)
	return 0
}

// Failed counts one failure of subject. An error means that it could not be counted.
func (l *RateLimit) Failed(ctx context.Context, subject string) error {
	s := SubjectOf(l.kind, subject)
	n, left, err := l.counter.Add(ctx, s, l.window)
	if err != nil || n < l.max {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.counter.Now()
	if len(l.blocked) >= maxBlocked {
		l.forget(now)
	}
	l.blocked[s] = block{now.Add(left), now}
	return nil
}

// forget drops subjects whose time is over, or all if there is none. The lock must be held.
func (l *RateLimit) forget(now time.Time) {
	for s, b := range l.blocked {
		if !now.Before(b.until) {
			delete(l.blocked, s)
		}
	}
	if len(l.blocked) >= maxBlocked {
		clear(l.blocked)
	}
}

// ErrFull: too many subjects are being counted in memory.
var ErrFull = errors.New("too many subjects are being counted")
