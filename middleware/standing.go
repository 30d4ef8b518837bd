package middleware

import (
	"errors"
	"time"
)

// Why a token is not taken from memory.
var (
	errEnded   = errors.New("a name of the token is in the revocation feed")
	errStale   = errors.New("the revocation feed is not fresh, see FollowerStats")
	errUnnamed = errors.New("the token has no names that the revocation feed could end")
	errHorizon = errors.New("names that ended may have been forgotten, see MaxEnded")
	errDropped = errors.New("the revocation feed was reset after the answer")
)

// Names of what has no name of its own (feed.OtherRules, feed.Nameless).
const (
	otherRules = "*" // answers may say less now; no token ended
	nameless   = "?" // some tokens ended
)

// maxNames is how many names of a token are looked at. A token with more is never kept.
const maxNames = 16

// namesOf returns the hashes of a token's names: jti, sid, rev. Nil: the token lacks one, as those
// of other servers and of older versions do.
func (f *Follower) namesOf(t *Token) []uint64 {
	if t.ID == "" || len(t.rev) == 0 || len(t.rev) > maxNames || t.SubjectType == "user" && t.Session == "" {
		return nil
	}
	names := make([]uint64, 0, 3+len(t.rev))
	names = append(names, f.ended.hash(t.ID))
	if t.Session != "" {
		names = append(names, f.ended.hash(t.Session))
	}
	for _, name := range t.rev {
		names = append(names, f.ended.hash(name))
	}
	return names
}

// namesOfJWT returns those of a JWT: the key that signed it is one more.
func (f *Follower) namesOfJWT(t *Token, keyID string) []uint64 {
	names := f.namesOf(t)
	if names == nil || keyID == "" {
		return names
	}
	return append(names, f.ended.hash(keyID))
}

// fresh says whether the follower knows of every end. It comes first in each check: what the lease
// rests on was written before the lease.
func (f *Follower) fresh(now moment) bool {
	if l := f.lease.Load(); l != nil && now.before(l.until) {
		return true
	}
	f.begin()
	return false
}

// check is nil when no name has ended, nor the token by not_before.
func (f *Follower) check(names []uint64, issuedAt time.Time) error {
	if len(names) == 0 {
		return errUnnamed
	}
	if f.ended.hasAny(names) {
		return errEnded
	}
	if first := f.notBefore.Load(); first > 0 && issuedAt.Unix() < first {
		return errEnded
	}
	return nil
}

// checkJWT says whether a JWT with these names is good now, without asking; nil: it is.
func (f *Follower) checkJWT(names []uint64, issuedAt time.Time) error {
	now := f.clock()
	if !f.fresh(now) {
		return errStale
	}
	if err := f.check(names, issuedAt); err != nil {
		return err
	}
	if now.steady < time.Duration(f.horizon.Load()) { // last: it is raised before names are forgotten
		return errHorizon
	}
	return nil
}

// mark is when a question was sent.
type mark struct {
	generation uint64
	steady     time.Duration
}

func (f *Follower) mark() mark { return mark{f.generation.Load(), f.clock().steady} }

// checkAnswer says whether an answer to a question of m is good now, without asking again; nil: it
// is.
func (f *Follower) checkAnswer(now moment, names []uint64, issuedAt time.Time, m mark) error {
	if !f.fresh(now) {
		return errStale
	}
	if err := f.check(names, issuedAt); err != nil {
		return err
	}
	if m.generation != f.generation.Load() { // last: it is raised before names are forgotten
		return errDropped
	}
	return nil
}

// mayKeep says whether an answer to a question of m may be kept.
func (f *Follower) mayKeep(names []uint64, issuedAt time.Time, m mark) bool {
	return m.steady >= time.Duration(f.keepFrom.Load()) && f.checkAnswer(f.clock(), names, issuedAt, m) == nil
}
