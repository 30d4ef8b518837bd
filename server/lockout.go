package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/users"
)

// loginLimit holds one login against the lockout. It is counted before anything is hashed. If the
// lockout's store does not answer, there is no login: fail closed.
type loginLimit struct {
	s        *Server
	x        *exchange
	reserved *lockout.Reservation // nil: there is no limit
}

// limitLogin reserves the login for its address, before the directory is asked.
func (s *Server) limitLogin(x *exchange) (*loginLimit, error) {
	l := &loginLimit{s: s, x: x}
	if s.cfg.Lockout == nil {
		return l, nil
	}
	reserved, verdict, left, err := s.cfg.Lockout.Begin(x, x.network())
	if err != nil {
		return nil, err
	}
	l.reserved = reserved
	return l, l.answer(verdict, left)
}

// forUser reserves the login for the user whom the directory found, or for the name.
func (l *loginLimit) forUser(a *users.Attempt) error {
	if l.reserved == nil {
		return nil
	}
	verdict, left, err := l.reserved.ForUser(l.x, lockout.Target{Key: a.Key(), Password: a.Generation(), Subject: a.Subject()})
	if err != nil {
		return err
	}
	if verdict == lockout.UserLocked {
		l.x.locked = a.Subject()
		l.s.cfg.Users.Decline(l.x)
	}
	return l.answer(verdict, left)
}

// identified names the user of the login where only the password showed it. A user who is locked
// under another spelling is locked.
func (l *loginLimit) identified(a *users.Attempt, id string) error {
	if l.reserved == nil || !a.Late() {
		return nil
	}
	verdict, err := l.reserved.Identified(l.x, lockout.Target{Key: users.KeyOf(id), Subject: id})
	if err != nil {
		return errors.Join(err, l.giveBack())
	}
	if verdict == lockout.UserLocked { // the answer is that of a wrong password: it must not confirm this one
		l.x.locked = id
		if err := l.reserved.Refused(l.x); err != nil {
			return err
		}
	}
	return l.answer(verdict, 0)
}

// answer turns a verdict into an answer; nil: the login goes on.
func (l *loginLimit) answer(verdict lockout.Verdict, left time.Duration) error {
	switch verdict {
	case lockout.AddressLocked:
		l.s.cfg.Metrics.LoginFailed("address_locked")
		return &Error{Code: codeInvalidGrant, Status: http.StatusTooManyRequests, RetryAfter: left,
			Reason: "address_locked", Description: "too many failed logins from this address; wait as long as Retry-After says"}
	case lockout.UserLocked:
		return l.s.errWrongPassword("user_locked")
	case lockout.Underway:
		return unavailable(nil, "logins_underway",
			"too many logins of this user or from this address are under way; try again")
	}
	return nil
}

// refused ends the login as Verify did. A refusal counts; a directory that cannot answer does not.
func (l *loginLimit) refused(a *users.Attempt, err error) error {
	refusal, ok := errors.AsType[*users.LoginError](err)
	if !ok {
		return errors.Join(err, l.giveBack())
	}
	reason := Reason(refusal.Reason)
	if l.reserved != nil && a.Late() {
		target := lockout.Target{Key: "nobody:" + a.Key()} // an unknown name takes as long as a user's
		if refusal.Subject != "" {
			target.Key, target.Subject = users.KeyOf(refusal.Subject), refusal.Subject
		}
		verdict, err := l.reserved.Identified(l.x, target)
		if err != nil {
			return errors.Join(err, l.giveBack())
		}
		if verdict == lockout.UserLocked && refusal.Subject != "" {
			l.x.locked, reason = refusal.Subject, "user_locked"
		}
	}
	return l.failed(reason)
}

// failed counts the login as a failure. If it cannot be counted it is not answered either: the
// attacker would have tried a password for nothing.
func (l *loginLimit) failed(reason Reason) error {
	if l.reserved != nil {
		if err := l.reserved.Failed(l.x); err != nil {
			return err
		}
	}
	return l.s.errWrongPassword(reason)
}

// giveBack ends a login that proved nothing either way.
func (l *loginLimit) giveBack() error {
	if l.reserved == nil {
		return nil
	}
	return l.reserved.Abandoned(l.x)
}

// succeeded ends a login with the right password.
func (l *loginLimit) succeeded() error {
	if l.reserved == nil {
		return nil
	}
	return l.reserved.Succeeded(l.x)
}

// errWrongPassword is the one answer to unknown names, wrong passwords, locked and disabled users.
func (s *Server) errWrongPassword(reason Reason) error {
	s.cfg.Metrics.LoginFailed(string(reason))
	return &Error{Code: codeInvalidGrant, Description: users.ErrRefused.Error(), Reason: reason}
}
