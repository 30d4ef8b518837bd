// Package lockout counts failures, so that guessing does not pay: of a client's secret from
// one address (RFC 6749 §2.3.1), of a user's password. Subjects are hashed before they reach
// a store: no name, id or address stands in a key.
package lockout

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// Counter counts events. Methods may be called by any number of goroutines. Of Add nobody knows
// after an error whether it counted, and it is never repeated; Hold, Keep and Release name their
// event, so repeating them counts nothing twice.
type Counter interface {
	// Now is this node's clock, against which the lengths that other methods return are counted.
	Now() time.Time

	// Add counts one event of subject and returns how many there are in the running window, which
	// begins with the first, and how long that window still lasts.
	Add(ctx context.Context, subject Subject, window time.Duration) (n int, left time.Duration, err error)

	// Hold reserves an event for pending, unless limit events are reserved or kept already.
	Hold(ctx context.Context, subject Subject, event EntryID, limit int, pending time.Duration) (Hold, error)
	// Keep lets an event count for life from now, reserved or not.
	Keep(ctx context.Context, subject Subject, event EntryID, life time.Duration) error
	// Release ends a reservation. What is kept stays.
	Release(ctx context.Context, subject Subject, event EntryID) error
	// Kept returns how many events of subject are kept.
	Kept(ctx context.Context, subject Subject) (int, error)
	// Reset forgets the kept events of subject and the reservation of event, and no other
	// reservation.
	Reset(ctx context.Context, subject Subject, event EntryID) error
}

// Hold is the answer to a reservation.
type Hold struct {
	Result Result
	Left   time.Duration // Full: until there is room again
}

// Result says whether an event was reserved.
type Result int

// The results.
const (
	Held Result = iota
	Busy        // kept events and reservations reach the limit together: one of them may end soon
	Full        // kept events alone reach the limit
)

// EntryID names one event that is held.
type EntryID [12]byte

func newEntryID() (e EntryID) {
	rand.Read(e[:]) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return e
}

// Subject is what is counted: the hash of a kind and its parts.
type Subject [16]byte

// SubjectOf hashes a kind of attempt and what it is about.
func SubjectOf(kind string, parts ...string) Subject {
	h := sha256.New()
	h.Write([]byte(kind))
	for _, p := range parts {
		sum := sha256.Sum256([]byte(p))
		h.Write(sum[:])
	}
	return Subject(h.Sum(nil)[:16])
}

// RateLimit refuses a subject after too many failures. The count is shared by all nodes; whether a
// subject is refused is known to a node from its own last count, so the good path
// asks nobody: n nodes allow at most n-1 failures more.
type RateLimit struct {
	counter Counter
	kind    string
	most    int
	window  time.Duration

	mu      sync.Mutex
	blocked map[Subject]time.Time // until when
}

// NewRateLimit returns a limit of most failures in a window. kind keeps its counts apart from
// others.
func NewRateLimit(counter Counter, kind string, most int, window time.Duration) *RateLimit {
	return &RateLimit{counter: counter, kind: kind, most: most, window: window, blocked: map[Subject]time.Time{}}
}

// maxBlocked bounds what a node remembers; beyond it the oldest knowledge is dropped and the next
// failure finds out again.
const maxBlocked = 1 << 16

// Blocked returns how long subject is still refused; 0: not.
func (l *RateLimit) Blocked(subject string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.blocked) == 0 {
		return 0
	}
	s := SubjectOf(l.kind, subject)
	until, ok := l.blocked[s]
	if !ok {
		return 0
	}
	if left := until.Sub(l.counter.Now()); left > 0 {
		return left
	}
	delete(l.blocked, s)
	return 0
}

// Failed counts one failure of subject. An error means that it could not be counted.
func (l *RateLimit) Failed(ctx context.Context, subject string) error {
	s := SubjectOf(l.kind, subject)
	n, left, err := l.counter.Add(ctx, s, l.window)
	if err != nil || n < l.most {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.blocked) >= maxBlocked {
		l.forget(l.counter.Now())
	}
	l.blocked[s] = l.counter.Now().Add(left)
	return nil
}

// forget drops what is over, or everything when nothing is. The lock must be held.
func (l *RateLimit) forget(now time.Time) {
	for s, until := range l.blocked {
		if !now.Before(until) {
			delete(l.blocked, s)
		}
	}
	if len(l.blocked) >= maxBlocked {
		clear(l.blocked)
	}
}

// ErrFull: too many subjects are being counted in memory.
var ErrFull = errors.New("too many subjects are being counted")
