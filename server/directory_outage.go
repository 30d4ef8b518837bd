package server

import (
	"errors"
	"sync"
	"time"

	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// directoryOutages remembers when the user directory could not answer refreshes. A client that
// retried in vain meanwhile did not come too late.
type directoryOutages struct {
	mu           sync.Mutex
	since        time.Time // of the first refresh that it did not answer; zero: it answers
	began, ended time.Time // of the last outage
}

// note takes what a refresh learned of the directory. An invalid record says nothing about other
// users.
func (a *directoryOutages) note(err error) {
	silent := errors.Is(err, users.ErrUnavailable) && !errors.Is(err, users.ErrRecord)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case silent && a.since.IsZero():
		a.since = time.Now()
	case err == nil && !a.since.IsZero():
		a.began, a.ended, a.since = a.since, time.Now(), time.Time{}
	}
}

// last returns the last outage.
func (a *directoryOutages) last() tokens.Outage {
	a.mu.Lock()
	defer a.mu.Unlock()
	return tokens.Outage{Length: a.ended.Sub(a.began), Since: time.Since(a.ended)}
}
