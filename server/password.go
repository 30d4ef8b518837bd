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
	defer s.overload.leaveLogin(x.network())
	if err := s.overload.enterLogin(x.network()); err != nil {
		return "", err
	}
	guess, err := s.beginGuess(x)
	if err != nil {
		return "", err
	}
	attempt, err := s.cfg.Users.Lookup(x, typed)
	if err != nil {
		return "", errors.Join(err, guess.giveBack())
	}
	if err := guess.of(attempt); err != nil {
		return "", err
	}
	user, err := s.cfg.Users.Verify(x, attempt)
	if err != nil {
		return "", guess.refused(attempt, err)
	}
	if s.cfg.DemoUsers[user.ID] && !straight(x.gin.Request) {
		if err := guess.giveBack(); err != nil { // the password is public: it was no guess, and must lock nobody out
			return "", err
		}
		return "", s.errWrongPassword("demo_user_off_loopback")
	}
	if err := guess.is(attempt, user.ID); err != nil {
		return "", err
	}
	if x.session, err = s.beginSession(x, user); err != nil {
		if e, refused := errors.AsType[*Error](err); refused {
			return "", guess.failed(e.Reason)
		}
		return "", errors.Join(err, guess.giveBack()) // a right password is no failure (V-03)
	}
	if err := guess.succeeded(); err != nil {
		return "", err
	}
	return user.ID, nil
}
