package server

import (
	"errors"

	"github.com/grantor-auth/grantor/users"
)

// checkPassword returns the id of the user whom a name and a password prove (RFC 6749 §4.3.2). The
// client was authenticated and its grant types were checked before.
func (s *Server) checkPassword(x *exchange, username, password string) (string, error) {
	if s.cfg.Users == nil {
		return "", refusal(codeInvalidClient, "client authentication failed")
	}
	typed, err := users.NewLogin(username, password)
	if err != nil {
		return "", refusal(codeInvalidRequest, "%s", err)
	}
	device, err := deviceName(x.form)
	if err != nil {
		return "", err
	}
	defer s.overload.leaveLogin(x.network())
	if err := s.overload.enterLogin(x.network()); err != nil {
		return "", err
	}
	limit, err := s.limitLogin(x)
	if err != nil {
		return "", err
	}
	user, err := s.verifyPassword(x, typed, limit)
	if err != nil {
		return "", err
	}
	if x.session, err = s.beginSession(x, user); err != nil {
		if e, refused := errors.AsType[*Error](err); refused {
			return "", limit.failed(e.Reason)
		}
		return "", errors.Join(err, limit.giveBack()) // a right password is no failure (V-03)
	}
	if err := limit.succeeded(); err != nil {
		return "", err
	}
	x.session.device = device
	return user.ID, nil
}

// verifyPassword returns the user whom a login proves. Each way out of it ends the login's limit,
// or leaves it to the caller together with the user.
func (s *Server) verifyPassword(x *exchange, typed users.Login, limit *loginLimit) (*users.User, error) {
	attempt, err := s.cfg.Users.Lookup(x, typed)
	if err != nil {
		return nil, errors.Join(err, limit.giveBack())
	}
	if err := limit.forUser(attempt); err != nil {
		return nil, err
	}
	user, err := s.cfg.Users.Verify(x, attempt)
	if err != nil {
		return nil, limit.refused(attempt, err)
	}
	if s.cfg.DemoUsers[user.ID] && !s.straight(x.gin.Request) {
		if err := limit.giveBack(); err != nil { // the password is public, and must lock nobody out
			return nil, err
		}
		return nil, s.errWrongPassword("demo_user_off_loopback")
	}
	return user, limit.identified(attempt, user.ID)
}
