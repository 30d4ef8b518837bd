package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/users"
)

// guess is one attempt at a password, counted before anything is hashed. The counter's store away
// means no log-in: fail closed.
type guess struct {
	s        *Server
	x        *exchange
	reserved *lockout.Reservation // nil: there are no limits
}

// beginGuess reserves the attempt for its address, before the directory is asked.
func (s *Server) beginGuess(x *exchange) (*guess, error) {
	g := &guess{s: s, x: x}
	if s.cfg.Lockout == nil {
		return g, nil
	}
	reserved, verdict, left, err := s.cfg.Lockout.Begin(x, x.network())
	if err != nil {
		return nil, err
	}
	g.reserved = reserved
	return g, g.judge(verdict, left)
}

// of reserves the attempt for the user whom the directory found, or for the name.
func (g *guess) of(a *users.Attempt) error {
	if g.reserved == nil {
		return nil
	}
	verdict, left, err := g.reserved.ForUser(g.x, lockout.Target{Key: a.Key(), Password: a.Generation()})
	if err != nil {
		return err
	}
	if verdict == lockout.UserLocked {
		g.x.locked = a.Subject()
		g.s.cfg.Users.Decline(g.x)
	}
	return g.judge(verdict, left)
}

// is tells the attempt whose it was, where only the password showed it. A user who is locked under
// another spelling is locked.
func (g *guess) is(a *users.Attempt, id string) error {
	if g.reserved == nil || !a.Late() {
		return nil
	}
	verdict, err := g.reserved.Identified(g.x, lockout.Target{Key: users.KeyOf(id)})
	if err != nil {
		return errors.Join(err, g.giveBack())
	}
	if verdict == lockout.UserLocked { // the answer is that of a wrong password, and says nothing of this one
		g.x.locked = id
		if err := g.reserved.Refused(g.x); err != nil {
			return err
		}
	}
	return g.judge(verdict, 0)
}

// judge turns a verdict into an answer.
func (g *guess) judge(verdict lockout.Verdict, left time.Duration) error {
	switch verdict {
	case lockout.AddressLocked:
		g.s.cfg.Metrics.LoginFailed("address_locked")
		return &Error{Code: codeInvalidGrant, Status: http.StatusTooManyRequests, RetryAfter: left, Reason: "address_locked",
			Description: "too many failed log-ins from this address; wait as long as Retry-After says"}
	case lockout.UserLocked:
		return g.s.errWrongPassword("user_locked")
	case lockout.Underway:
		return &Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Reason: "logins_underway",
			Description: "too many log-ins of this user or from this address are under way; try again"}
	}
	return nil
}

// refused ends the attempt as Verify did: a refusal counts, a directory that cannot say does not.
func (g *guess) refused(a *users.Attempt, err error) error {
	refusal, ok := errors.AsType[*users.LoginError](err)
	if !ok {
		return errors.Join(err, g.giveBack())
	}
	reason := string(refusal.Reason)
	if g.reserved != nil && a.Late() {
		who := lockout.Target{Key: "nobody:" + a.Key()} // a name that is nobody's takes as long as a user's
		if refusal.Subject != "" {
			who.Key = users.KeyOf(refusal.Subject)
		}
		verdict, err := g.reserved.Identified(g.x, who)
		if err != nil {
			return errors.Join(err, g.giveBack())
		}
		if verdict == lockout.UserLocked && refusal.Subject != "" {
			g.x.locked, reason = refusal.Subject, "user_locked"
		}
	}
	return g.failed(reason)
}

// failed lets the attempt count as a failure. One that could not be counted is not answered: it
// would be a guess for nothing.
func (g *guess) failed(reason string) error {
	if g.reserved != nil {
		if err := g.reserved.Failed(g.x); err != nil {
			return err
		}
	}
	return g.s.errWrongPassword(reason)
}

func (g *guess) giveBack() error {
	if g.reserved == nil {
		return nil
	}
	return g.reserved.Abandoned(g.x)
}

func (g *guess) succeeded() error {
	if g.reserved == nil {
		return nil
	}
	return g.reserved.Succeeded(g.x)
}

// errWrongPassword is the one answer to unknown names, wrong passwords, locked and disabled users.
func (s *Server) errWrongPassword(reason string) error {
	s.cfg.Metrics.LoginFailed(reason)
	return &Error{Code: codeInvalidGrant, Description: users.ErrRefused.Error(), Reason: reason}
}
