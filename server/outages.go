package server

import (
	"errors"
	"sync"
	"time"

	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// outages remembers when the user directory, or the claims hook, could not answer refreshes. A
// client that retried in vain meanwhile did not come too late.
type outages struct {
	mu           sync.Mutex
	since        time.Time // of the first refresh that was not answered; zero: it answers
	began, ended time.Time // of the last outage
}

// note takes what a refresh learned of the directory. An invalid record says nothing about other
// users.
func (a *outages) note(err error) {
	a.noteIf(errors.Is(err, users.ErrUnavailable) && !errors.Is(err, users.ErrRecord), err == nil)
}

// noteIf takes whether a question found nobody, or an answer.
func (a *outages) noteIf(silent, answered bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case silent && a.since.IsZero():
		a.since = time.Now()
	case answered && !a.since.IsZero():
		a.began, a.ended, a.since = a.since, time.Now(), time.Time{}
	}
}

// last returns the last outage.
func (a *outages) last() tokens.Outage {
	a.mu.Lock()
	defer a.mu.Unlock()
	return tokens.Outage{Length: a.ended.Sub(a.began), Since: time.Since(a.ended)}
}

// lastOutage returns the last outage of directory and hook; two that touch are one.
func (s *Server) lastOutage() tokens.Outage {
	late, early := s.outages.last(), s.hookOutages.last()
	switch {
	case early.Length == 0:
		return late
	case late.Length == 0:
		return early
	case early.Since < late.Since:
		late, early = early, late
	}
	begun := early.Since + early.Length
	if early.Since > late.Since+late.Length || begun < late.Since+late.Length {
		return late
	}
	return tokens.Outage{Length: begun - late.Since, Since: late.Since}
}
