package lockout

import (
	"context"
	"errors"
	"hash/fnv"
	"strings"
	"time"
)

// ClientCounters is how many counters all client ids share that are tried from one network.
const ClientCounters = 16

// ClientSubject names the counter of a client id at a network. Registered and unknown ids share the
// counters, so that the counts do not tell them apart, and an attacker with many ids fills few
// keys.
func ClientSubject(id, network string) string { return clientCounter(id) + network }

func clientCounter(id string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // hash.Hash never returns an error
	return string(rune('a' + h.Sum32()%ClientCounters))
}

// ClientKey is Target.Key of a client whose secret is kept by a slow hash, as a user's password is.
func ClientKey(id string) string { return "client:" + id }

// maxClientNotes bounds the notes of the ids that share counters: those of the newest failures.
const maxClientNotes = 512

func (l *RateLimit) notesOf(id string) Subject {
	return SubjectOf(l.kind+".networks", clientCounter(id))
}

// clientNote names a network from which a client id failed. The id is hashed: anybody can send any.
func clientNote(id, network string) string {
	sum := SubjectOf("id", id)
	return string(sum[:]) + network
}

// Note leaves a note of a failure for operators: which client id failed from which network.
func (l *RateLimit) Note(ctx context.Context, id, network string) error {
	return l.counter.Note(ctx, l.notesOf(id), clientNote(id, network), l.window, maxClientNotes)
}

// Networks returns from where the authentication of a client failed, as far as the notes tell, with
// the failures that count there: those of all ids that share the counter.
func (l *RateLimit) Networks(ctx context.Context, id string) (list []Budget, err error) {
	texts, err := l.counter.Noted(ctx, l.notesOf(id))
	if err != nil {
		return nil, err
	}
	for _, text := range texts {
		network, mine := strings.CutPrefix(text, clientNote(id, ""))
		if !mine {
			continue
		}
		n, left, err := l.counter.Count(ctx, SubjectOf(l.kind, ClientSubject(id, network)))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			continue
		}
		b := Budget{Network: network, Failures: n, Limit: l.max}
		if n >= l.max {
			b.Locked = left
		}
		list = append(list, b)
	}
	return list, nil
}

// Unlock forgets the failures of a client id, and with them those of other ids that share the
// counters. It returns how many there were. Nodes notice within recheckEvery.
func (l *RateLimit) Unlock(ctx context.Context, id string) (failures int, err error) {
	list, err := l.Networks(ctx, id)
	for _, b := range list {
		subject := ClientSubject(id, b.Network)
		if wrong := l.counter.Forget(ctx, SubjectOf(l.kind, subject)); wrong != nil {
			err = errors.Join(err, wrong)
			continue
		}
		l.unblock(SubjectOf(l.kind, subject))
		failures += b.Failures
	}
	return failures, err
}

// recheckEvery is how often a node asks the store whether a subject that it refuses was unlocked.
const recheckEvery = time.Second

// StillBlocked is Blocked for a subject that may have been unlocked elsewhere: it asks the store,
// at most once in recheckEvery for each subject. A store that does not answer unlocks nobody.
func (l *RateLimit) StillBlocked(ctx context.Context, subject string) time.Duration {
	left := l.Blocked(subject)
	s := SubjectOf(l.kind, subject)
	if left <= 0 || !l.mayRecheck(s) {
		return left
	}
	if n, _, err := l.counter.Count(ctx, s); err != nil || n >= l.max {
		return left
	}
	l.unblock(s)
	return 0
}

// mayRecheck says whether it is time to ask the store, and notes that it was asked.
func (l *RateLimit) mayRecheck(s Subject) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.blocked[s]
	now := l.counter.Now()
	if !ok || now.Sub(b.asked) < recheckEvery {
		return false
	}
	b.asked = now
	l.blocked[s] = b
	return true
}

func (l *RateLimit) unblock(s Subject) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.blocked, s)
}
